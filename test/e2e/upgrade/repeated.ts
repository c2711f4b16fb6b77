import { until } from '../../support/until.js';

/** Something that is done again as soon as it is over, until it is told to stop. */
export class Repeated {
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(private readonly once: () => Promise<void>) {}

  start(): void {
    this.#running = (async () => {
      while (!this.#stopped) await this.once();
    })();
    // Told by stop().
    this.#running.catch(() => {});
  }

  /** Waits for the end of what is going on. @throws what has kept it from ending */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
}

const END_MS = 240_000;

/** The object when it has ended. @throws with its last status when it does not */
export async function ended<T extends { status?: { phase?: string } }>(
  what: string,
  get: () => Promise<T>,
): Promise<T> {
  let found: T | undefined;
  return until(
    `${what} has ended`,
    async () => {
      found = await get();
      return /^(Succeeded|Failed)$/.test(found.status?.phase ?? '') && found;
    },
    { timeoutMs: END_MS, everyMs: 200 },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(found?.status)}`);
  });
}
