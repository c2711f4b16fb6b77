/** Waits for a state of the world, with a bound: what tests use in place of sleeping. */
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Calls `look` until it returns something other than undefined or false, and returns that. A throw counts as "not yet" and stands in
 * the error when the time is over.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  { timeoutMs = 30_000, everyMs = 50 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<T> {
  const end = Date.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await pause(everyMs);
  } while (Date.now() < end);
  const why = last instanceof Error ? `: ${last.message}` : '';
  throw new Error(`Not within ${timeoutMs / 1000} s: ${what}${why}`, { cause: last });
}
