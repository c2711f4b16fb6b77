/**
 * Rolling back: the source runs on, after the target's agent has confirmed that nothing of it will ever execute there.
 * This is the only place that thaws. If the restored processes turn out to have executed, the migration goes forward instead.
 * Where the target's node cannot be asked, a person may decide (resolution.ts).
 */
import { Claim } from '../../proto/gen/lpm/v1/agent.js';
import { findCondition, isoTime } from '../status/conditions.js';
import { REASON } from '../status/reasons.js';
import { recordedFailure, type Draft } from './draft.js';
import { commit } from './frozen.js';
import { changedContainer } from './interruption.js';
import { howToResolve, resolution, type Kept } from './resolution.js';

/** A checkpoint that still runs is waited for so long before the source is thawed over its head. */
const CHECKPOINT_GRACE_MS = 60_000;
/** The target pod is waited for so long, so that its name is free for the next attempt. */
const TARGET_GONE_MS = 40_000;
/** More than a minute: long enough for an agent that is just being started anew. */
const GIVE_UP_THAW_ATTEMPTS = 12;

export function rollingBack(draft: Draft): void {
  const { operations, observed, status } = draft;
  // What is being created now must be known before it can be taken away.
  if (operations.createTarget.state === 'running' || operations.createCheckpoint.state === 'running') return;
  rememberTarget(draft);

  const target = draft.status.restoredPodUID;
  const node = draft.status.targetNode ?? observed.target.pod?.spec?.nodeName;
  // Recorded on the API server before the source agent is asked to freeze: without it nothing is frozen.
  const mayBeFrozen = findCondition(status.conditions, 'Checkpointed') !== undefined;

  const { revoke } = operations;
  const revoked = revoke.state === 'done' && revoke.value === Claim.CLAIM_REVOKED;
  const kept = resolution(draft, {
    Target: revoked
      ? `node ${node} has confirmed that nothing of it will ever execute there.`
      : mayBeFrozen
        ? undefined
        : 'nothing has been checkpointed.',
  });
  if (kept === 'Target')
    return turnForward(draft, REASON.KeepTarget, 'A person has decided that the target runs.');

  if (kept !== 'Source' && (mayBeFrozen || (target && node))) {
    draft.insist(
      'revoke',
      `Revoking the restore on node ${node}`,
      mayBeFrozen
        ? howToResolve(draft, {
            Source: `no process of the pod can run on node ${node} any more (it is switched off for good)`,
            Target: `pod ${status.restoredPodName} runs there`,
          })
        : '',
    );
    if (revoke.state === 'done' && revoke.value === Claim.CLAIM_COMMITTED) {
      return turnForward(
        draft,
        REASON.AlreadyCommitted,
        'The restored processes executed already: the migration is completed instead.',
      );
    }
    const dispensable = !mayBeFrozen && draft.keepsFailing('revoke');
    if (!revoked && !dispensable) return;
  }
  if (mayBeFrozen && !thawed(draft, kept, revoked)) return;
  draft.unstuck();
  if (cleanedUp(draft)) failed(draft);
}

/** The end of the message of a migration that failed; empty when the source was deleted by somebody else. */
function whatBecameOfTheSource({ observed, status, operations }: Draft): string {
  const { podName } = observed.migration.spec;
  const { pod } = observed.source;
  if (!pod || pod.metadata.deletionTimestamp) return '';
  if (findCondition(status.conditions, 'Checkpointed') && operations.thaw.state !== 'done') {
    return ` Node ${status.sourceNode} could not be asked to thaw pod ${podName}: it does so when it is back.`;
  }
  if (changedContainer(observed.migration, pod)) {
    return ` Pod ${podName} was restarted by the kubelet of node ${status.sourceNode} meanwhile.`;
  }
  return ` Pod ${podName} runs on as before on node ${status.sourceNode}.`;
}

/** A target pod that was created just before the controller died is found by its annotation. */
export function rememberTarget(draft: Draft): void {
  const { createTarget } = draft.operations;
  const uid =
    draft.observed.target.pod?.metadata.uid ??
    (createTarget.state === 'done' ? createTarget.value.uid : undefined);
  if (uid && draft.status.restoredPodUID === undefined) draft.set({ restoredPodUID: uid });
}

function thawed(draft: Draft, kept: Kept | undefined, revoked: boolean): boolean {
  const { operations, observed, now, status } = draft;
  const { checkpoint } = operations;
  const dumping =
    checkpoint.state === 'running' ||
    (observed.source.state?.value?.checkpoints.some((one) => one.inProgress) ?? false);
  const since = Date.parse(findCondition(status.conditions, 'RollingBack')?.lastTransitionTime ?? '');
  // A dump that still runs would freeze the pod again after it was thawed: the agent ends it first.
  if (operations.thaw.state === 'none' && dumping && now - since < CHECKPOINT_GRACE_MS) {
    draft.requeue(250);
    return false;
  }
  // Who keeps a source that cannot be reached has been told so, or has decided about the target and is told now; its agent thaws it
  // when it is back (sweep).
  const attempts = revoked ? undefined : GIVE_UP_THAW_ATTEMPTS;
  if (kept === 'Source' && draft.keepsFailing('thaw', attempts)) return true;
  return draft.insist(
    'thaw',
    `Thawing pod ${observed.migration.spec.podName} on node ${status.sourceNode}`,
    howToResolve(draft, { Source: 'that node will not come back' }),
  );
}

/** The target pod is gone, or was waited for long enough, and nothing is staged for it any more. */
export function targetRemoved(draft: Draft): boolean {
  const { operations, observed, status, now } = draft;
  if (!status.restoredPodUID) return true;
  const outstanding = [!draft.insist('deleteTarget', `Deleting pod ${status.restoredPodName}`)];
  if (status.targetNode) outstanding.push(!draft.tidied('discardTarget'));
  const { deleteTarget } = operations;
  const deletedAt = deleteTarget.state === 'done' ? deleteTarget.at : now;
  if (observed.target.pod && now - deletedAt < TARGET_GONE_MS) {
    outstanding.push(true);
    draft.requeue(500);
  }
  return !outstanding.includes(true);
}

function cleanedUp(draft: Draft): boolean {
  const { operations, observed } = draft;
  const outstanding = [!targetRemoved(draft)];
  if (observed.checkpointUid) {
    outstanding.push(!draft.tidied('discardSource'));
    if (operations.recordCheckpoint.state !== 'running') outstanding.push(!draft.tidied('discardCheckpoint'));
    else outstanding.push(true);
  }
  return !outstanding.includes(true);
}

function failed(draft: Draft): void {
  const { reason, message, log } = recordedFailure(draft.status);
  const runsOn = whatBecameOfTheSource(draft);
  draft.clear('progress');
  draft.set({
    reason,
    message: `${message}${runsOn}`,
    completionTime: isoTime(draft.now),
    totalMilliseconds: Math.max(0, draft.now - Date.parse(draft.status.startTime ?? isoTime(draft.now))),
  });
  draft.phase('Failed');
  draft.condition('RollingBack', 'False', REASON.RolledBack, 'The source runs on, the target is gone.');
  draft.condition('Failed', 'True', reason, log ? `${message}\n${log}` : message);
  draft.event('migration', 'Warning', reason, `${message}${runsOn}`);
  draft.finalizer = 'remove';
}

export function turnForward(draft: Draft, reason: string, message: string): void {
  draft.unstuck();
  draft.condition('RollingBack', 'False', reason, message);
  const { restore } = draft.operations;
  commit(draft, restore.state === 'done' ? restore.value : undefined);
}
