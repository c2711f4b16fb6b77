/** What ends a migration from outside before its commit. */
import { failureOf, type Failure } from '../agents/failure.js';
import { findCondition, isTrue } from '../status/conditions.js';
import { isRestore } from './from-checkpoint/is-restore.js';
import type { Observed } from './observed.js';
import { containerId } from './pod-checks.js';
import { podPatienceSeconds } from './probe-patience.js';

/** Why the migration must be rolled back although none of its own steps has failed; undefined: go on. */
export function interruption(observed: Observed): Failure | undefined {
  // Where a saved checkpoint is brought back, nothing waits frozen, and the pod that it was taken of may be gone.
  const source = isRestore(observed.migration)
    ? undefined
    : (sourceGone(observed) ?? frozenTooLong(observed));
  return givenUp(observed) ?? source ?? targetGone(observed);
}

function givenUp({ migration, now }: Observed): Failure | undefined {
  const { metadata, spec, status = {} } = migration;
  if (metadata.deletionTimestamp) {
    return failureOf('Canceled', `Migration ${metadata.name} was deleted.`);
  }
  if (spec.cancel) return failureOf('Canceled', `Migration ${metadata.name} was canceled.`);
  const timeout = spec.timeoutSeconds ?? 600;
  const began = Date.parse(status.startTime ?? '');
  if (now - began > timeout * 1000) {
    return failureOf(
      'TimedOut',
      `The migration was not done within ${timeout} s${status.message ? ` (last: ${status.message.replace(/\.$/, '')})` : ''}.`,
      'Migrate again with a larger spec.timeoutSeconds.',
    );
  }
  return undefined;
}

function sourceGone({ migration, source }: Observed): Failure | undefined {
  const { podName } = migration.spec;
  const { pod } = source;
  if (!pod) return failureOf('SourceChanged', `Pod ${podName} was deleted during the migration.`);
  if (pod.metadata.deletionTimestamp) {
    return failureOf('SourceChanged', `Pod ${podName} is being deleted.`);
  }
  const { phase, reason, message } = pod.status ?? {};
  if (phase === 'Failed' || phase === 'Succeeded') {
    return failureOf(
      'SourceChanged',
      `Pod ${podName} ended during the migration: ${[reason, message].filter(Boolean).join(': ') || phase}.`,
    );
  }
  const changed = changedContainer(migration, pod);
  if (!changed || stillFenced({ migration, source })) return undefined;
  return failureOf(
    'SourceChanged',
    `Container ${changed} of pod ${podName} was restarted during the migration.`,
    'Look at the events of the pod, and migrate again when it is steady.',
  );
}

/** Name of a container that is not the one that was accepted; undefined: all are the same, or the kubelet has not said. */
export function changedContainer(
  migration: Observed['migration'],
  pod: NonNullable<Observed['source']['pod']>,
): string | undefined {
  return migration.status?.sourceContainers?.find(({ name, containerID }) => {
    const now = containerId(pod, name);
    return now !== undefined && containerID !== '' && now !== containerID;
  })?.name;
}

/**
 * A container that was restarted behind the fence does not run: it is born frozen. The process that was dumped is lost then,
 * and its checkpoint is the only copy, so the migration goes on. Where the fence is gone too (the node was rebooted), the
 * restarted container runs, and it is the pod from now on.
 */
function stillFenced({ migration, source }: Pick<Observed, 'migration' | 'source'>): boolean {
  if (!isTrue(migration.status?.conditions, 'Checkpointed')) return false;
  return source.state?.value?.podCgroupFrozen ?? true;
}

/** A frozen container answers no probe; the kubelet's patience with it bounds the freeze. */
function frozenTooLong({ migration, source, now }: Observed): Failure | undefined {
  const { conditions, phaseTransitions } = migration.status ?? {};
  if (!source.pod || !findCondition(conditions, 'Checkpointed')) return undefined;
  const entered = phaseTransitions?.find(({ phase }) => phase === 'CheckpointInProgress')?.transitionTime;
  const patience = podPatienceSeconds(source.pod);
  // By our own clock, and from a moment before the freeze. A second is left for taking it back.
  if (!(now - Date.parse(entered ?? '') > (patience - 1) * 1000)) return undefined;
  return failureOf(
    'TimedOut',
    `Pod ${migration.spec.podName} cannot stay frozen for longer: its liveness probe gives up after ${patience} s.`,
    'Migrate again when there is less to move, or with a more patient liveness probe.',
  );
}

function targetGone({ migration, target }: Observed): Failure | undefined {
  const { restoredPodUID, restoredPodName: name } = migration.status ?? {};
  if (restoredPodUID === undefined) return undefined;
  const { pod } = target;
  if (!pod || pod.metadata.deletionTimestamp) {
    return failureOf('TargetPodFailed', `Pod ${name} was deleted during the migration.`, 'Migrate again.');
  }
  if (pod.status?.phase !== 'Failed' && pod.status?.phase !== 'Succeeded') return undefined;
  const { reason, message, phase } = pod.status;
  return failureOf(
    'TargetPodFailed',
    `Pod ${name} ended before it was restored: ${[reason, message].filter(Boolean).join(': ') || phase}.`,
  );
}
