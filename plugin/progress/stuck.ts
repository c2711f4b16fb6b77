/** What a migration that is stuck waits for, since when, and what a person can do. Pure. */
import { readHowToResolve, type Side } from '../../common/api/resolution.js';
import type { Condition } from '../../common/api/schema.js';
import { stopwatch } from '../text/duration.js';

export interface Stuck {
  /** The condition's reason. */
  reason: string;
  /** What does not succeed, and why. */
  what: string;
  /** What to look at; empty when there is nothing to say. */
  check: string;
  /** When it began: milliseconds since the epoch by the controller's clock. */
  since: number;
  /** What can be kept, each with what must be the case for it. Empty: no decision would help. */
  sides: { [S in Side]?: string };
}

interface Status {
  phase?: string;
  message?: string;
  reason?: string;
  conditions?: Condition[];
}

/** A migration as far as it matters here. */
export interface Migration {
  metadata: { name: string; namespace?: string };
  status?: Status;
}

/** Undefined for a migration that is not stuck. */
export function stuckOf({ status = {} }: Migration): Stuck | undefined {
  if (isOver(status)) return undefined;
  const condition = conditionOf(status, 'Stuck');
  if (condition?.status !== 'True') return undefined;
  const { before, sides } = readHowToResolve(condition.message);
  // The status' message is the condition's without the hint.
  const split = status.message && before.startsWith(status.message) ? status.message.length : before.length;
  return {
    reason: condition.reason,
    what: before.slice(0, split).trim(),
    check: before.slice(split).trim(),
    since: Date.parse(condition.lastTransitionTime),
    // Who has decided already has nothing to decide any more.
    sides: conditionOf(status, 'Resolved')?.status === 'True' ? {} : sides,
  };
}

/** The lines that say so on a screen: for how long, what to check, how to decide. */
export function stuckLines(migration: Migration, now: number): string[] {
  const stuck = stuckOf(migration);
  if (!stuck) return [];
  const { what, check, since, sides } = stuck;
  const long = Number.isNaN(since) ? '' : ` for ${stopwatch(now - since)}`;
  return [
    `stuck${long}: ${what}`,
    ...(check ? [`check: ${check}`] : []),
    ...decisions(migration, sides).map((line) => `decide: ${line}`),
  ];
}

/** The command lines among which a person may choose, each with a comment that the shell leaves out. */
export function decisions({ metadata }: Migration, sides: Stuck['sides']): string[] {
  return (['Source', 'Target'] as const).flatMap((side) =>
    sides[side] === undefined
      ? []
      : [
          `kubectl migrate resolve ${metadata.name} -n ${metadata.namespace ?? 'default'} --keep ${side.toLowerCase()} # if ${sides[side]}`,
        ],
  );
}

/** A time of a condition, as it stands there: `2026-11-23T16:00:05Z`. */
export function secondsTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** True for a migration that ended because it was canceled. */
export function wasCanceled({ status = {} }: Migration): boolean {
  return status.phase === 'Failed' && status.reason === 'Canceled';
}

export function isOver({ phase }: Pick<Status, 'phase'>): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

export function conditionOf(
  { conditions = [] }: Pick<Status, 'conditions'>,
  type: string,
): Condition | undefined {
  return conditions.find((condition) => condition.type === type);
}
