/** What is to be seen of an object that is being worked on, apart from how it is drawn. */

export interface Row {
  label: string;
  state: 'waiting' | 'active' | 'done' | 'failed';
  /** What is going on or was done, in a few words. */
  detail: string;
  /** Milliseconds in this row so far, or in all. */
  elapsedMs?: number;
}

export interface View {
  rows: Row[];
  /** Milliseconds that the pod is frozen, while it is. */
  frozenMs?: number;
  /** What keeps it from going on and what to do about it; empty when it goes on. */
  stuck: string[];
  warnings: string[];
}

/** An object that a controller works on. */
export interface Worked<Phase extends string = string> {
  metadata: { name: string; creationTimestamp?: string };
  status?: {
    phase?: Phase;
    message?: string;
    phaseTransitions?: { phase: string; transitionTime: string }[];
    startTime?: string;
    completionTime?: string;
  };
}

export interface Span {
  /** Milliseconds since the epoch, by the controller's clock. */
  from: number;
  to: number | undefined;
}

/** When the object was first in one of these phases, and when it had left them all. Undefined when it never was. */
export function span(object: Worked, phases: readonly string[]): Span | undefined {
  const transitions = object.status?.phaseTransitions ?? [];
  const first = transitions.findIndex(({ phase }) => phases.includes(phase));
  if (first < 0) return undefined;
  const next = transitions.slice(first).find(({ phase }) => !phases.includes(phase));
  return {
    from: Date.parse(transitions[first]?.transitionTime ?? ''),
    to: next ? Date.parse(next.transitionTime) : undefined,
  };
}

/** Milliseconds of a span; undefined when a time was not readable. */
export function elapsed({ from, to }: Span, now: number): number | undefined {
  const ms = (to ?? now) - from;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
