/** Whether a person may decide a migration now, and in this way. Pure; the controller judges by the same facts. */
import type { Side } from '../../common/api/resolution.js';
import type { PodMigration } from '../../common/api/schema.js';
import type { Caller } from '../checks/judge.js';
import { CliError } from '../cli-error.js';
import { conditionOf, isOver, stuckOf, wasCanceled, type Stuck } from '../progress/stuck.js';
import { sentence } from '../progress/summary.js';

/** What keeps the migration from going on. Throws CliError when this side cannot be kept; nothing has been changed then. */
export function judgeResolve(caller: Caller, migration: PodMigration, side: Side): Stuck {
  const { metadata, spec, status = {} } = migration;
  const { name } = metadata;
  const seen = caller.again(`${caller.program} status ${name}`);
  const look = `Look at it with: ${seen}`;
  if (isOver(status)) {
    const how =
      status.phase === 'Succeeded' ? 'has succeeded' : wasCanceled(migration) ? 'was canceled' : 'has failed';
    throw new CliError(
      `There is nothing to decide: the migration ${name} ${how}. ${sentence(status.message ?? '')}`.trim(),
      [`More with: ${seen}`],
    );
  }
  // One that the controller has found impossible may be made anew.
  if (spec.resolution !== undefined && conditionOf(status, 'Resolved')?.status !== 'False') {
    throw new CliError(
      `It is decided already that the ${spec.resolution.toLowerCase()} of the migration ${name} is kept; that cannot be changed.`,
      [`Follow it to its end with: ${seen} -w`],
    );
  }
  const stuck = stuckOf(migration);
  if (!stuck) {
    throw new CliError(
      `The migration ${name} is not stuck: the nodes can still tell themselves which copy runs, and no person may know better.`,
      [`Follow it with: ${seen} -w`, `To give it up: ${caller.again(`${caller.program} cancel ${name}`)}`],
    );
  }
  const impossible = whyNot(migration, stuck, side);
  if (impossible)
    throw new CliError(
      `The ${side.toLowerCase()} cannot be kept: ${impossible}`,
      otherWay(caller, migration, stuck, look),
    );
  return stuck;
}

function whyNot({ spec, status = {} }: PodMigration, { what, sides }: Stuck, side: Side): string | undefined {
  const target = status.targetNode ?? 'the target';
  if (side === 'Source' && conditionOf(status, 'Committed')?.status === 'True') {
    return `the restored processes have executed on node ${target}, so the source must never run again.`;
  }
  if (side === 'Target' && !conditionOf(status, 'Checkpointed')) {
    return `nothing of pod ${spec.podName} has been checkpointed, so nothing of it can run on node ${target}.`;
  }
  if (sides[side] !== undefined) return undefined;
  if (side === 'Target' && sides.Source !== undefined) {
    return `node ${target} has confirmed that nothing of it will ever execute there.`;
  }
  return `no decision would help. ${what}`;
}

function otherWay(caller: Caller, { metadata }: PodMigration, { sides }: Stuck, look: string): string[] {
  const other = (['Source', 'Target'] as const).find((one) => sides[one] !== undefined);
  if (!other) return [look];
  const command = `${caller.program} resolve ${metadata.name} --keep ${other.toLowerCase()}`;
  return [`What can be decided, if ${sides[other]}: ${caller.again(command)}`, look];
}
