/**
 * Taking back a restore that failed, timed out or is not wanted any more: revoked, then its pod is deleted. No source waits
 * for the answer to Revoke: it only tells the truth about the outcome. So where a node cannot be asked, what is done depends
 * on what is wanted: a pod that is not wanted, or gone already, is deleted without the answer (its kubelet ends it when it is
 * back, and the sweep removes the rest); one that is wanted may run, which the migration says as Stuck until it knows.
 */
import { Claim } from '../../../proto/gen/lpm/v1/agent.js';
import { isoTime } from '../../status/conditions.js';
import { REASON } from '../../status/reasons.js';
import { recordedFailure, type Draft } from '../draft.js';
import { howToResolve, resolution } from '../resolution.js';
import { rememberTarget, targetRemoved, turnForward } from '../rolling-back.js';
import { checkpointWords } from './is-restore.js';

export function takingBack(draft: Draft): void {
  const { operations, observed } = draft;
  // What is being created now must be known before it can be taken away.
  if (operations.createTarget.state === 'running') return;
  rememberTarget(draft);
  const { status } = draft;
  const name = status.restoredPodName;
  const node = status.targetNode ?? observed.target.pod?.spec?.nodeName;
  // Written down before the agent was asked: before, nothing can have executed.
  const asked = status.phase !== 'Pending';
  const { revoke } = operations;
  const revoked = revoke.state === 'done' && revoke.value === Claim.CLAIM_REVOKED;

  const kept = resolution(
    draft,
    {
      Target: revoked
        ? `node ${node} has confirmed that nothing of it will ever execute there.`
        : asked
          ? undefined
          : 'nothing has been restored.',
    },
    { Source: `to give up pod ${name}`, Target: `to take pod ${name} for running` },
  );
  if (kept === 'Target')
    return turnForward(draft, REASON.KeepTarget, 'A person has decided that the restored pod runs.');

  if (kept !== 'Source' && status.restoredPodUID && node && !revoked) {
    if (revoke.state === 'done')
      return turnForward(
        draft,
        REASON.AlreadyCommitted,
        'The restored processes executed already: the restore is completed instead.',
      );
    if (!(dispensable(draft, asked) && draft.keepsFailing('revoke'))) {
      draft.insist(
        'revoke',
        `Revoking the restore on node ${node}`,
        asked
          ? howToResolve(draft, {
              Source: `pod ${name} is to be given up, whatever runs of it on node ${node}`,
              Target: `it runs there`,
            })
          : '',
      );
      return;
    }
  }
  draft.unstuck();
  if (targetRemoved(draft)) failed(draft, asked && !revoked ? node : undefined);
}

/** Whether the pod may be deleted without knowing whether anything of it has executed. */
function dispensable({ observed, status }: Draft, asked: boolean): boolean {
  return !asked || !observed.target.pod || recordedFailure(status).reason === 'Canceled';
}

/** `unasked`: the node that could not tell whether anything has executed there. */
function failed(draft: Draft, unasked: string | undefined): void {
  const { observed, status, now } = draft;
  const { reason, message, log } = recordedFailure(status);
  const after = unasked
    ? ` Node ${unasked} could not be asked: what may run there of pod ${status.restoredPodName} ends when it is back.`
    : '';
  const whole = `${message}${after} ${checkpointWords(observed.migration)} is as before.`;
  draft.clear('progress');
  draft.set({
    reason,
    message: whole,
    completionTime: isoTime(now),
    totalMilliseconds: Math.max(0, now - Date.parse(status.startTime ?? isoTime(now))),
  });
  draft.phase('Failed');
  const done = unasked
    ? 'The restored pod is deleted.'
    : 'The restored pod is gone, and nothing of it has run.';
  draft.condition('RollingBack', 'False', REASON.RolledBack, done);
  draft.condition('Failed', 'True', reason, log ? `${message}\n${log}` : message);
  draft.event('migration', 'Warning', reason, whole);
  draft.finalizer = 'remove';
}
