/** After the commit: the restored processes execute, so the source is ended and never thawed. Only forward. */
import { elapsed } from '../agents/clock.js';
import { findCondition } from '../status/conditions.js';
import { REASON } from '../status/reasons.js';
import type { Draft } from './draft.js';
import { howToResolve, resolution, type Kept } from './resolution.js';
import { succeed } from './succeed.js';

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
export function refuseCancel(draft: Draft): void {
  const { metadata, spec } = draft.observed.migration;
  if (!spec.cancel || findCondition(draft.status.conditions, 'Canceled')) return;
  const message = `Migration ${metadata.name} cannot be canceled any more: the restored processes of pod ${draft.status.restoredPodName} execute on node ${draft.status.targetNode}.`;
  draft.condition('Canceled', 'False', REASON.AlreadyCommitted, message);
  draft.event('migration', 'Warning', 'CancelRefused', message);
}

/** The pod is deleted, its frozen processes are killed, its object is gone. */
function sourceEnded(draft: Draft): boolean {
  const { observed, status } = draft;
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
  if (!objectGone(draft, kept, givenUp)) return false;
  draft.unstuck();
  const left = observed.source.pod
    ? 'No process is left of the source; its object waits for its finalizers.'
    : 'No process and no object is left of the source.';
  draft.condition('SourceEnded', 'True', REASON.SourceEnded, left);
  return true;
}

/**
 * Nothing of the source can execute any more; its object stays until its kubelet confirms the deletion and its finalizers are
 * removed. A person may decide not to wait for either.
 */
function objectGone(draft: Draft, kept: Kept | undefined, givenUp: boolean): boolean {
  const { observed, now, status } = draft;
  const { pod } = observed.source;
  if (!pod) return true;
  const { name, namespace, finalizers = [] } = pod.metadata;
  const since = Date.parse(findCondition(status.conditions, 'Committed')?.lastTransitionTime ?? '') || now;
  const remains = now - since > SOURCE_REMAINS_MS;
  if (kept === 'Target' && (givenUp || remains)) {
    if (finalizers.length > 0) {
      const warning = `The object of pod ${name} stays until its finalizers (${finalizers.join(', ')}) are removed.`;
      if (!status.warnings?.includes(warning)) draft.set({ warnings: [...(status.warnings ?? []), warning] });
      return true;
    }
    // Its kubelet will not confirm the deletion: the object is removed without it.
    draft.start('deleteSource');
  }
  if (remains) {
    const describe = `kubectl describe pod ${name} -n ${namespace}`;
    const [hint, sure] =
      finalizers.length > 0
        ? [
            `It has finalizers (${finalizers.join(', ')}), which whoever put them there must remove: ${describe}.`,
            'its object may stay until they are removed',
          ]
        : [
            `Does the kubelet of node ${status.sourceNode} work? ${describe}.`,
            `the kubelet of node ${status.sourceNode} will not confirm its deletion any more`,
          ];
    draft.stuck(
      {
        reason: REASON.SourceRemains,
        message: `Pod ${name} has no process any more, but its object is still there.`,
        hint: `${hint} ${howToResolve(draft, { Target: sure })}`,
      },
      'Ending the source',
    );
  }
  draft.requeue(500);
  return false;
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

export function restoredRuns(draft: Draft): boolean {
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
  const { observed, status } = draft;
  const { podName } = observed.migration.spec;
  const downtime = measureDowntime(draft);
  const pause = downtime ? `; ${downtime.downtimeMilliseconds} ms of downtime` : '';
  succeed(
    draft,
    `Pod ${podName} moved from ${status.sourceNode} to ${status.targetNode} as ${status.restoredPodName}${pause}.`,
    downtime,
  );
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
