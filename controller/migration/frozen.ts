/**
 * CheckpointInProgress, CheckpointCompleted, MigrationInProgress, RestoreInProgress: from the first moment at which the
 * source may be frozen until somebody holds the claim. Nothing here waits for the API server once the source is frozen.
 */
import type { Progress, RestoreResult, StepDuration } from '../../proto/gen/lpm/v1/agent.js';
import { Claim, Step } from '../../proto/gen/lpm/v1/agent.js';
import { failureOf, type Failure } from '../agents/failure.js';
import { findCondition, isoTime } from '../status/conditions.js';
import { REASON } from '../status/reasons.js';
import { STEP_NAMES, type Draft } from './draft.js';
import { isRestore } from './from-checkpoint/is-restore.js';
import { interruption } from './interruption.js';
import type { Operation } from './observed.js';
import { handlersWaiting, hasExecuted } from './target-state.js';

/** A lost connection is taken up again for so long while the source is frozen; then it is rolled back. */
export const REJOIN_MS = 20_000;

/** A restore that is staged and does not come to its end within this time is given up. The kubelet's own patience is 2 min. */
export const RESTORE_MS = 150_000;

/** Turns away when somebody else has decided: what has executed, the claim, or what interrupts. True: nothing more to do here. */
function decidedElsewhere(draft: Draft): boolean {
  const { observed } = draft;
  const state = observed.target.state?.value;
  if (state && hasExecuted(state, draft.status)) {
    commit(draft);
    return true;
  }
  // A claim that the target holds decides nothing yet: until something has executed, Revoke can still take it back.
  const claim = state?.claim;
  const stopped =
    claim === Claim.CLAIM_REVOKED
      ? failureOf(
          'Revoked',
          `The restore of pod ${draft.status.restoredPodName} was revoked.`,
          'Migrate again.',
        )
      : interruption(observed);
  if (stopped) draft.rollBack(stopped);
  return stopped !== undefined;
}

export function checkpointInProgress(draft: Draft): void {
  if (decidedElsewhere(draft)) return;
  const { operations, observed } = draft;

  const { createCheckpoint } = operations;
  switch (createCheckpoint.state) {
    case 'none':
      return draft.start('createCheckpoint');
    case 'running':
      return;
    case 'failed':
      if (!createCheckpoint.failure.retryable) return draft.rollBack(createCheckpoint.failure);
      draft.ensure('createCheckpoint');
      return;
    case 'done':
      draft.set({
        podCheckpointName: createCheckpoint.value.name,
        podCheckpointUID: createCheckpoint.value.uid,
      });
      break;
    default:
      createCheckpoint satisfies never;
  }

  const { checkpoint } = operations;
  switch (checkpoint.state) {
    case 'none': {
      const containers = (draft.status.sourceContainers ?? []).map(({ name }) => name);
      const state = observed.target.state?.value;
      const mayBeFrozen = findCondition(draft.status.conditions, 'Checkpointed') !== undefined;
      // The handler's time may have run out meanwhile: it comes again. What is frozen already must not wait for it.
      if (!mayBeFrozen && (!state || !handlersWaiting(state, containers))) return draft.requeue(100);
      draft.condition('Checkpointed', 'False', REASON.Freezing, 'The source is being frozen and dumped.');
      draft.barrier();
      return draft.start('checkpoint');
    }
    case 'running':
      return draft.progress(checkpoint.progress);
    case 'failed':
      return rejoin(draft, 'checkpoint', checkpoint);
    case 'done': {
      const { frozenAt, totalBytes, steps } = checkpoint.value;
      draft.clear('progress');
      draft.set({
        ...(frozenAt ? { frozenAt: isoTime(frozenAt.getTime()) } : {}),
        steps: stepDurations(steps),
        message: `The checkpoint is complete: ${bytes(totalBytes)}.`,
      });
      draft.condition('Checkpointed', 'True', REASON.CheckpointCompleted, 'The source is frozen and dumped.');
      draft.event('migration', 'Normal', 'Checkpointed', `Frozen and dumped: ${bytes(totalBytes)}.`);
      draft.phase('CheckpointCompleted');
      return draft.again();
    }
    default:
      checkpoint satisfies never;
  }
}

export function checkpointCompleted(draft: Draft): void {
  if (decidedElsewhere(draft)) return;
  draft.phase('MigrationInProgress');
  draft.set({
    message: `Moving the checkpoint from node ${draft.status.sourceNode} to node ${draft.status.targetNode}.`,
  });
  draft.start('restore');
  // The contents are objects for the record: they are made beside, not before.
  if (draft.operations.checkpoint.state === 'done') draft.start('recordCheckpoint');
}

export function migrationInProgress(draft: Draft): void {
  awaitRestore(draft);
  const { restore } = draft.operations;
  const staged = restore.state === 'running' && restore.progress?.step === Step.STEP_RESTORE;
  if (staged && draft.status.phase === 'MigrationInProgress') {
    draft.phase('RestoreInProgress');
    draft.set({ message: `Restoring on node ${draft.status.targetNode}.` });
  }
}

export function restoreInProgress(draft: Draft): void {
  awaitRestore(draft);
}

function awaitRestore(draft: Draft): void {
  if (decidedElsewhere(draft)) return;
  const { restore } = draft.operations;
  switch (restore.state) {
    case 'none':
      return draft.start('restore');
    case 'running':
      draft.progress(restore.progress && ofTotal(restore.progress, draft));
      return restoreInTime(draft);
    case 'failed':
      return rejoin(draft, 'restore', restore);
    case 'done':
      if (restore.value.claim === Claim.CLAIM_COMMITTED) return commit(draft, restore.value);
      return draft.rollBack(
        failureOf(
          'Revoked',
          `The restore of pod ${draft.status.restoredPodName} was revoked.`,
          'Migrate again.',
        ),
      );
    default:
      restore satisfies never;
  }
}

/** The target is told of the bytes as they come; how many there are is known from the dump. */
function ofTotal(progress: Progress, { operations: { checkpoint } }: Draft): Progress {
  const known = progress.step === Step.STEP_TRANSFER && checkpoint.state === 'done';
  return known && progress.bytesTotal === 0n
    ? { ...progress, bytesTotal: checkpoint.value.totalBytes }
    : progress;
}

/** The runtime and CRIU have all that they need: what hangs now hangs there. */
function restoreInTime(draft: Draft): void {
  const { progress, restoredPodName, targetNode } = draft.status;
  if (progress?.step !== STEP_NAMES[Step.STEP_RESTORE]) return;
  const since = Date.parse(progress.since ?? '');
  if (draft.now - since <= RESTORE_MS) return draft.requeue(since + RESTORE_MS + 10 - draft.now);
  draft.rollBack(
    failureOf(
      'TimedOut',
      `Pod ${restoredPodName} was not restored on node ${targetNode} within ${RESTORE_MS / 1000} s.`,
      `Look at the runtime of node ${targetNode}, and migrate again.`,
    ),
  );
}

/** The restored processes execute: from here on only forward. */
export function commit(draft: Draft, result?: RestoreResult): void {
  const { status } = draft;
  draft.phase('RestoreInProgress');
  draft.clear('progress', 'reason', 'hint');
  if (result) {
    draft.set({
      bytesTransferred: Number(result.bytesTransferred),
      steps: [...(status.steps ?? []), ...stepDurations(result.steps)],
    });
  }
  const runs = `Pod ${status.restoredPodName} runs on node ${status.targetNode}`;
  draft.condition('Committed', 'True', REASON.Committed, 'The restored processes execute.');
  if (isRestore(draft.observed.migration)) draft.set({ message: `${runs}.` });
  else {
    draft.set({ message: `${runs}; the source is being ended.` });
    draft.condition('SourceEnded', 'False', REASON.EndingSource, 'The source is frozen and being ended.');
  }
  draft.event('migration', 'Normal', 'Committed', `Restored on node ${status.targetNode}.`);
  draft.again();
}

/**
 * A call that failed: what may only be the connection is asked again (the agent joins the work that goes on), anything
 * else is a reason to roll back.
 */
function rejoin(
  draft: Draft,
  name: 'checkpoint' | 'restore',
  operation: Extract<Operation<unknown>, { state: 'failed' }>,
): void {
  const { failure, firstAt } = operation;
  if (!failure.retryable || draft.now - firstAt > (draft.observed.rejoinMs ?? REJOIN_MS))
    return draft.rollBack(better(draft, failure));
  draft.ensure(name);
}

/** A restore that failed in the handler is told by the agent's state in more detail than by a connection that was cut. */
function better(draft: Draft, failure: Failure): Failure {
  const failed = draft.observed.target.state?.value?.containers.find((container) => container.failed);
  if (!failed || failure.reason === 'CriuRestoreFailed') return failure;
  return { ...failureOf('CriuRestoreFailed', failed.failure), log: failed.failureLog };
}

function stepDurations(steps: readonly StepDuration[]): { name: string; milliseconds: number }[] {
  return steps.map(({ step, duration }) => ({
    name: STEP_NAMES[step],
    milliseconds: duration ? Math.round(Number(duration.seconds) * 1000 + duration.nanos / 1e6) : 0,
  }));
}

export function bytes(count: bigint | number): string {
  const n = Number(count);
  if (n < 1024 * 1024) return `${Math.ceil(n / 1024)} KiB`;
  if (n < 1024 ** 3) return `${(n / 1024 / 1024).toFixed(1)} MiB`;
  return `${(n / 1024 ** 3).toFixed(2)} GiB`;
}
