import { Progress, Step, stepToJSON } from '../proto/gen/lpm/v1/agent.js';

/**
 * Work that several callers can watch: whoever asks for the same UID joins it. It goes on when a caller goes away.
 */
export class Operation<Result> {
  readonly done: Promise<Result>;
  private readonly abort = new AbortController();
  private readonly latest = new Map<string, Progress>();
  private readonly watchers = new Set<(progress: Progress) => void>();

  constructor(work: (operation: Operation<Result>) => Promise<Result>) {
    this.done = work(this);
    // Whoever watches gets the error; nobody watching is no reason to end the agent.
    this.done.catch(() => {});
  }

  /** For whoever wants it undone; the work looks at `canceled` between its steps, or listens to `signal`. */
  cancel(): void {
    this.abort.abort();
  }
  get canceled(): boolean {
    return this.abort.signal.aborted;
  }
  get signal(): AbortSignal {
    return this.abort.signal;
  }

  report(step: Step, containerName = '', bytesDone = 0, bytesTotal = 0): void {
    const progress: Progress = {
      step,
      containerName,
      bytesDone: BigInt(bytesDone),
      bytesTotal: BigInt(bytesTotal),
    };
    this.latest.set(`${step} ${containerName}`, progress);
    for (const watcher of this.watchers) watcher(progress);
  }

  /** Calls for what was reported so far and for what comes; answers a function that ends it. */
  watch(watcher: (progress: Progress) => void): () => void {
    for (const progress of this.latest.values()) watcher(progress);
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }
}

/** Measures the steps of an operation, for StepDuration. */
export class Steps {
  private readonly taken: { step: Step; ms: number }[] = [];

  async time<T>(step: Step, work: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    try {
      return await work();
    } finally {
      this.add(step, performance.now() - begin);
    }
  }

  add(step: Step, ms: number): void {
    const known = this.taken.find((each) => each.step === step);
    if (known) known.ms += ms;
    else this.taken.push({ step, ms });
  }

  /** Each with the milliseconds that it took: `dump`. */
  named(): { name: string; ms: number }[] {
    return this.taken.map(({ step, ms }) => ({
      name: stepToJSON(step).replace('STEP_', '').toLowerCase(),
      ms,
    }));
  }

  list(): { step: Step; duration: { seconds: bigint; nanos: number } }[] {
    return this.taken.map(({ step, ms }) => ({ step, duration: durationOf(ms) }));
  }
}

export function durationOf(ms: number): { seconds: bigint; nanos: number } {
  const whole = Math.floor(ms / 1000);
  return { seconds: BigInt(whole), nanos: Math.round((ms - whole * 1000) * 1e6) };
}
