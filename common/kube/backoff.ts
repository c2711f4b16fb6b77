/** Waiting times between attempts. */

export interface BackoffOptions {
  /** First wait in milliseconds. */
  initialMs: number;
  /** No wait is longer. */
  maxMs: number;
  /** Growth from one attempt to the next; default 2. */
  factor?: number;
  /** Share of the wait that is random, 0 to 1; default 0.5, so that many clients do not come back in step. */
  jitter?: number;
  /** 0 <= random() < 1; handed in by tests. */
  random?: () => number;
}

/**
 * Milliseconds to wait after the `attempt`-th failure in a row (counted from 1): grows exponentially up to maxMs; at
 * most `jitter` of it is taken off at random.
 */
export function backoffMs(attempt: number, options: BackoffOptions): number {
  const { initialMs, maxMs, factor = 2, jitter = 0.5, random = Math.random } = options;
  // 2^1024 overflows; the wait has long reached its bound by then.
  const grown = Math.min(maxMs, initialMs * factor ** Math.min(Math.max(attempt, 1) - 1, 100));
  return Math.round(grown * (1 - jitter * random()));
}

/** Resolves after `ms` milliseconds, or at once when the signal fires; never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}
