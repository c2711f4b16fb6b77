/** Conditions and phases by the rules of metav1.Condition. Times are milliseconds since the epoch. */
import type { Condition } from '../../common/api/schema.js';

export type ConditionStatus = Condition['status'];

export interface NewCondition<Type extends string = string> {
  type: Type;
  status: ConditionStatus;
  reason: string;
  message: string;
}

/**
 * Returns the conditions with one set. lastTransitionTime changes only with the status, not with reason or message
 * (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md).
 */
export function withCondition(
  conditions: readonly Condition[] | undefined,
  next: NewCondition,
  now: number,
  generation?: number,
): Condition[] {
  const old = conditions?.find((condition) => condition.type === next.type);
  const condition: Condition = {
    ...next,
    lastTransitionTime: old?.status === next.status ? old.lastTransitionTime : secondsTime(now),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
  return old
    ? conditions!.map((other) => (other.type === next.type ? condition : other))
    : [...(conditions ?? []), condition];
}

export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === 'True';
}

interface Phased {
  phase?: string;
  phaseTransitions?: { phase: string; transitionTime: string }[];
}

/** Returns the status in another phase, with the time of the change noted; unchanged when it is in that phase already. */
export function withPhase<S extends Phased>(status: S, phase: NonNullable<S['phase']>, now: number): S {
  if (status.phase === phase) return status;
  return {
    ...status,
    phase,
    phaseTransitions: [...(status.phaseTransitions ?? []), { phase, transitionTime: isoTime(now) }],
  };
}

/** RFC 3339 with milliseconds, UTC. */
export function isoTime(now: number): string {
  return new Date(now).toISOString();
}

/** RFC 3339 without fractions, as metav1.Time has it. */
export function secondsTime(now: number): string {
  return isoTime(now).replace(/\.\d+Z$/, 'Z');
}
