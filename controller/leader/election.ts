/**
 * Who of several candidates may act, decided by one record that all of them can read and write: pure, with the local clock
 * handed in. After client-go's leaderelection, with the places where it is only nearly right made strict.
 *
 * The argument why never two believe to lead at the same moment:
 *  - The record is changed by optimistic concurrency only: a write names the version that it replaces.
 *  - Who leads believes so until renewDeadline after it SENT the last write that succeeded. That write was carried out later
 *    than it was sent, so the belief ends before renewDeadline has passed since the record was changed.
 *  - Who waits counts leaseDuration from the moment at which the answer with that version ARRIVED, which is after the change,
 *    and takes the record over only if it still has that version when its write is carried out.
 *  - renewDeadline < leaseDuration. No clock is compared with another, and no time in the record is read: only that each
 *    clock runs less than leaseDuration/renewDeadline times as fast as any other (15/10: one and a half times as fast).
 *
 * Deleting the record is a mistake that only candidates which have seen it can make up for: they wait all the same.
 */

export interface ElectionTimes {
  /** Who waits takes over when the record has not changed for so long. Whole seconds: the record says them. */
  leaseDurationMs: number;
  /** Who leads gives up when it could not renew for so long. Shorter than leaseDurationMs. */
  renewDeadlineMs: number;
  /** Between two attempts. */
  retryPeriodMs: number;
}

/** The record as it was read: what matters of it. */
export interface LeaseSeen {
  /** Changes with each write. */
  version: string;
  /** Empty: released. */
  holder: string;
  /** What the holder promises, which may be configured otherwise than we are. */
  durationMs: number;
}

/** What one candidate knows. Times are milliseconds of its own monotonic clock. */
export interface Candidate {
  readonly identity: string;
  /** The record as it was last seen; undefined: there is none. */
  readonly seen?: LeaseSeen;
  /** When somebody else's hold on the record is over, if nothing changes. */
  readonly freeAt: number;
  /** `seen` can be written on; otherwise it must be looked at first. */
  readonly fresh: boolean;
  /** Nothing is asked before. */
  readonly notBefore: number;
  /** When the last write was sent that made us leader or kept us so. */
  readonly heldFrom?: number;
  /** Set for ever once the leadership has ended: why. */
  readonly over?: string;
}

export type Step =
  | { do: 'look' }
  /** Make the record, or replace that version of it. */
  | { do: 'take'; from: LeaseSeen | undefined }
  | { do: 'renew'; from: LeaseSeen | undefined }
  | { do: 'wait'; ms: number }
  | { do: 'lost'; why: string };

export function candidate(identity: string): Candidate {
  return { identity, freeAt: -Infinity, fresh: false, notBefore: -Infinity };
}

/** May act at this moment. Ends by itself as the clock goes on. */
export function believes(state: Candidate, now: number, times: ElectionTimes): boolean {
  return (
    state.over === undefined && state.heldFrom !== undefined && now < state.heldFrom + times.renewDeadlineMs
  );
}

export function nextStep(state: Candidate, now: number, times: ElectionTimes): Step {
  if (state.over !== undefined) return { do: 'lost', why: state.over };
  const leads = state.heldFrom !== undefined;
  if (leads && !believes(state, now, times)) return { do: 'lost', why: notRenewed(times) };
  if (now < state.notBefore) {
    const until = leads ? Math.min(state.notBefore, state.heldFrom + times.renewDeadlineMs) : state.notBefore;
    return { do: 'wait', ms: until - now };
  }
  if (!state.fresh) return { do: 'look' };
  return { do: leads ? 'renew' : 'take', from: state.seen };
}

/** The record was read; the answer arrived at `now`. */
export function looked(
  state: Candidate,
  seen: LeaseSeen | undefined,
  now: number,
  times: ElectionTimes,
): Candidate {
  const foreign = seen !== undefined && seen.holder !== '' && seen.holder !== state.identity;
  if (state.heldFrom !== undefined && foreign) {
    return { ...state, over: `${seen.holder} holds the lease now` };
  }
  const unchanged = seen !== undefined && seen.version === state.seen?.version;
  const freeAt = foreign
    ? unchanged
      ? state.freeAt
      : now + seen.durationMs
    : // A record that vanished does not say that its holder has stopped; one that was released does.
      seen === undefined
      ? state.freeAt
      : now;
  const fresh = freeAt <= now;
  const { seen: _, ...rest } = state;
  return {
    ...rest,
    ...(seen ? { seen } : {}),
    freeAt,
    fresh,
    notBefore: fresh ? now : Math.min(now + times.retryPeriodMs, freeAt),
  };
}

/** A write that was sent at `sentAt` was carried out; the answer arrived at `now`. */
export function written(
  state: Candidate,
  seen: LeaseSeen,
  sentAt: number,
  now: number,
  times: ElectionTimes,
): Candidate {
  if (state.over !== undefined) return state;
  // What was given up meanwhile is not taken up again: others have been told.
  if (state.heldFrom !== undefined && !believes(state, now, times)) return ended(state, notRenewed(times));
  // Too late to make anybody leader; the record says that it is ours, so it is renewed next.
  if (now >= sentAt + times.renewDeadlineMs) return { ...state, fresh: false, notBefore: now };
  return {
    ...state,
    seen,
    fresh: true,
    heldFrom: Math.max(sentAt, state.heldFrom ?? -Infinity),
    notBefore: sentAt + times.retryPeriodMs,
  };
}

/** A write was not carried out: the record has changed (or there is one, or none). */
export function conflicted(state: Candidate, now: number): Candidate {
  return { ...state, fresh: false, notBefore: now };
}

/** No answer, or one that says nothing: what was asked may have been carried out. */
export function unanswered(state: Candidate, now: number, times: ElectionTimes): Candidate {
  return { ...state, fresh: false, notBefore: now + times.retryPeriodMs };
}

/** Gives the leadership up. */
export function ended(state: Candidate, why: string): Candidate {
  return { ...state, over: state.over ?? why };
}

function notRenewed({ renewDeadlineMs }: ElectionTimes): string {
  return `the lease could not be renewed for ${renewDeadlineMs / 1000} s`;
}
