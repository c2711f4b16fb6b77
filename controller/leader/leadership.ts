/** Whether this process may act, as the rest of the controller sees it. */

export interface Leadership {
  /** Resolves when this process may act. */
  readonly acquired: Promise<void>;
  /** Fires when it may not any more, with an LpmError (NotLeader) as its reason: everything that is under way is let go. */
  readonly lost: AbortSignal;
  /** By the clock, at this very moment: a process that stood still knows it before any timer has told. */
  readonly isLeader: boolean;
  /** Called right before anything is sent that changes something. Throws LpmError (NotLeader). */
  assertLeader(): void;
}

/** For the only controller there is. */
export function soleLeader(): Leadership {
  return {
    acquired: Promise.resolve(),
    lost: new AbortController().signal,
    isLeader: true,
    assertLeader: () => {},
  };
}
