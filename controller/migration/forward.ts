/** After the commit: the restored processes execute, so the source is ended and never thawed. Only forward. */
import { elapsed } from '../agents/clock.js';
import { findCondition, isoTime } from '../status/conditions.js';
import { REASON } from '../status/reasons.js';
import type { Draft } from './draft.js';
import { howToResolve, resolution } from './resolution.js';

/** The restored pod's status is waited for so long; the migration succeeds without it. */
const RUNNING_MS = 60_000;
/** When the source pod's object is still there after so long, it is said. */
const SOURCE_REMAINS_MS = 90_000;
const CLOCK_ATTEMPTS = 3;

export function forward(draft: Draft): void {
  const { operations } = draft;
  refuseCancel(draft);
  // Asked early: the clocks are compared while nobody waits for it.
  const clocksKnown =
    operations.clocks.state === 'done' ||
    (operations.clocks.state === 'failed' && operations.clocks.attempts >= CLOCK_ATTEMPTS);
  if (!clocksKnown) draft.ensure('clocks');
  if (operations.recordCheckpoint.state === 'failed') draft.tidied('recordCheckpoint');

  if (!sourceEnded(draft)) return;
  const tidied = artifactsDiscarded(draft);
  if (!tidied || !clocksKnown || !restoredRuns(draft)) return;
  succeeded(draft);
}

/** It is too late: whoever cancels now is told so, and why. */
function refuseCancel(draft: Draft): void {
  const { metadata, spec } = draft.observed.migration;
  if (!spec.cancel || findCondition(draft.status.conditions, 'Canceled')) return;
  const message = `Migration ${metadata.name} cannot be canceled any more: the restored processes of pod ${draft.status.restoredPodName} execute on node ${draft.status.targetNode}.`;
  draft.condition('Canceled', 'False', REASON.AlreadyCommitted, message);
  draft.event('migration', 'Warning', 'CancelRefused', message);
}

/** The pod is deleted, its frozen processes are killed, its object is gone. */
function sourceEnded(draft: Draft): boolean {
  const { observed, now, status } = draft;
  if (draft.has('SourceEnded')) return true;
  const name = observed.migration.spec.podName;
  const kept = resolution(draft, { Source: 'the restored processes have executed.' });
  if (!draft.insist('deleteSource', `Deleting pod ${name}`)) return false;
  // Who gives up a source that cannot be reached: it stays frozen there, and its agent ends it when it is back (sweep).
  const givenUp = kept === 'Target' && draft.keepsFailing('endSource');
  if (
    !givenUp &&
    !draft.insist(
      'endSource',
      `Ending pod ${name} on node ${status.sourceNode}`,
      howToResolve(draft, { Target: `node ${status.sourceNode} will not come back` }),
    )
  ) {
    return false;
  }
  if (observed.source.pod) {
    // Its kubelet cannot confirm the deletion either: the object is removed without it.
    if (givenUp) draft.start('deleteSource');
    const since = Date.parse(findCondition(status.conditions, 'Committed')?.lastTransitionTime ?? '') || now;
    if (now - since > SOURCE_REMAINS_MS) {
      draft.stuck(
        {
          reason: REASON.SourceRemains,
          message: `Pod ${name} has no process any more, but its object is still there.`,
          hint: `Look at it: kubectl describe pod ${name}; is the kubelet of node ${status.sourceNode} working, does the pod have finalizers?`,
        },
        'Ending the source',
      );
    }
    draft.requeue(500);
    return false;
  }
  draft.unstuck();
  draft.condition(
    'SourceEnded',
    'True',
    REASON.SourceEnded,
    'No process and no object is left of the source.',
  );
  return true;
}

function artifactsDiscarded(draft: Draft): boolean {
  const { observed, operations } = draft;
  const done = [draft.tidied('discardTarget')];
  if (observed.checkpointUid) {
    done.push(draft.tidied('discardSource'));
    // In order: contents that are still being made would be left behind.
    done.push(operations.recordCheckpoint.state !== 'running' && draft.tidied('discardCheckpoint'));
  }
  return !done.includes(false);
}

function restoredRuns(draft: Draft): boolean {
  const { observed, status, now } = draft;
  const pod = observed.target.pod;
  if (!pod || pod.metadata.deletionTimestamp || pod.status?.phase === 'Running') return true;
  const since = Date.parse(findCondition(status.conditions, 'Committed')?.lastTransitionTime ?? '') || now;
  if (now - since > RUNNING_MS) {
    draft.set({
      warnings: [
        ...(status.warnings ?? []),
        `The processes execute, but pod ${pod.metadata.name} was not reported as Running within ${RUNNING_MS / 1000} s.`,
      ],
    });
    return true;
  }
  draft.requeue(500);
  return false;
}

function succeeded(draft: Draft): void {
  const { observed, status, now } = draft;
  const { podName } = observed.migration.spec;
  const downtime = measureDowntime(draft);
  const pause = downtime ? `; ${downtime.downtimeMilliseconds} ms of downtime` : '';
  const message = `Pod ${podName} moved from ${status.sourceNode} to ${status.targetNode} as ${status.restoredPodName}${pause}.`;
  draft.set({
    ...downtime,
    message,
    completionTime: isoTime(now),
    totalMilliseconds: Math.max(0, now - Date.parse(status.startTime ?? isoTime(now))),
  });
  draft.clear('progress', 'reason', 'hint');
  draft.phase('Succeeded');
  draft.condition('Complete', 'True', REASON.Succeeded, message);
  draft.event('migration', 'Normal', 'Succeeded', message);
  draft.event('target', 'Normal', 'Restored', message);
  draft.finalizer = 'remove';
}

/** From just before the freeze by the source's clock to the first instruction by the target's. */
function measureDowntime(
  draft: Draft,
): { downtimeMilliseconds: number; downtimeErrorMilliseconds: number } | undefined {
  const { operations, status, observed } = draft;
  const restoredAt =
    (operations.restore.state === 'done' ? operations.restore.value.restoredAt : undefined) ??
    observed.target.state?.value?.restoredAt;
  const frozenAt = Date.parse(status.frozenAt ?? '');
  if (!restoredAt || Number.isNaN(frozenAt) || operations.clocks.state !== 'done') return undefined;
  const { source, target } = operations.clocks.value;
  const { milliseconds, errorMilliseconds } = elapsed(
    { time: frozenAt, clock: source },
    { time: restoredAt.getTime(), clock: target },
  );
  return {
    downtimeMilliseconds: milliseconds,
    downtimeErrorMilliseconds: status.sourceNode === status.targetNode ? 1 : errorMilliseconds,
  };
}
