/** Whether a migration can still be canceled, and why not. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import type { Caller } from '../checks/judge.js';
import { CliError } from '../cli-error.js';
import { conditionOf, isOver, wasCanceled } from '../progress/stuck.js';
import { sentence } from '../progress/summary.js';

/** Throws CliError when it is too late; nothing has been changed then. */
export function judgeCancel(caller: Caller, migration: PodMigration): void {
  const refused = tooLate(migration);
  if (refused) throw new CliError(refused, nextSteps(caller, migration));
}

/** Why the migration cannot be canceled (any more); undefined as long as it can. */
export function tooLate(migration: PodMigration): string | undefined {
  const { metadata, status = {} } = migration;
  const { name } = metadata;
  if (status.phase === 'Succeeded') {
    return `The migration ${name} cannot be canceled any more: it has succeeded. ${sentence(status.message ?? '')}`.trim();
  }
  if (isOver(status)) {
    const how = wasCanceled(migration) ? 'it was canceled' : 'it has failed';
    return `The migration ${name} cannot be canceled any more: ${how} already. ${sentence(status.message ?? '')}`.trim();
  }
  const answer = conditionOf(status, 'Canceled');
  if (answer?.status === 'False') return answer.message;
  if (conditionOf(status, 'Committed')?.status !== 'True') return undefined;
  return `The migration ${name} cannot be canceled any more: the restored processes of pod ${status.restoredPodName ?? '?'} execute on node ${status.targetNode ?? 'the target'}.`;
}

export function nextSteps(caller: Caller, { metadata, spec, status = {} }: PodMigration): string[] {
  const { program } = caller;
  if (isOver(status)) return [`More with: ${caller.again(`${program} status ${metadata.name}`)}`];
  const back = `${program} ${status.restoredPodName ?? `${spec.podName}-restored`} --to ${status.sourceNode ?? 'NODE'}`;
  return [
    `Follow it to its end with: ${caller.again(`${program} status ${metadata.name} -w`)}`,
    `Then the pod can be moved back with: ${caller.again(back)}`,
  ];
}
