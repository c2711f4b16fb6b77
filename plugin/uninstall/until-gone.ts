import { CliError } from '../cli-error.js';
import { EXIT } from '../exit-code.js';
import { pause } from '../pause.js';

const LOOK_MS = 300;

/** How long a step may take, and that the person may leave. */
export interface Patience {
  /** Milliseconds; 0: for ever. */
  timeoutMs: number;
  detach: AbortSignal;
}

/** The person has left. */
export class Left extends Error {}

/**
 * Looks again and again until nothing is left of something.
 *
 * @param look names of what is left
 * @throws Left, or CliError with what is left when the time is over
 */
export async function untilGone(
  what: string,
  { timeoutMs, detach }: Patience,
  look: () => Promise<string[]>,
  hints: string[] = [],
): Promise<void> {
  const end = timeoutMs === 0 ? Infinity : Date.now() + timeoutMs;
  for (;;) {
    if (detach.aborted) throw new Left();
    const left = await look();
    if (left.length === 0) return;
    if (Date.now() > end) {
      const more = left.length > 5 ? ` and ${left.length - 5} more` : '';
      throw new CliError(
        `${what} did not go in time: ${left.slice(0, 5).join(', ')}${more}.`,
        hints,
        EXIT.timedOut,
      );
    }
    await pause(LOOK_MS, detach);
  }
}
