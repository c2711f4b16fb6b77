/**
 * A work queue of keys, after client-go's workqueue and controller-runtime: a key that is added many times is worked on
 * once, never by two workers at the same time; one that is added while it is worked on comes again afterwards; failures
 * wait longer each time. A key says only what to look at, never what to do.
 */
import { backoffMs, type BackoffOptions } from '../common/kube/backoff.js';

/** What a handler may answer: look again after so many milliseconds even if nothing is reported. */
export interface Requeue {
  afterMs?: number;
}

export interface WorkQueueOptions {
  workers: number;
  /** Called with what a handler threw; the key comes again after a while. */
  onError?: (key: string, error: unknown, attempt: number) => void;
  backoff?: BackoffOptions;
}

export class WorkQueue {
  /** Keys that wait for a worker, oldest first. */
  readonly #ready = new Set<string>();
  readonly #active = new Set<string>();
  /** Keys that were added while a worker had them. */
  readonly #again = new Set<string>();
  readonly #timers = new Map<string, { due: number; timer: NodeJS.Timeout }>();
  readonly #failures = new Map<string, number>();
  #started = false;
  #idle: (() => void) | undefined;

  constructor(
    private readonly handle: (key: string) => Promise<Requeue | void>,
    private readonly options: WorkQueueOptions,
  ) {}

  /** Keys that wait or are worked on. */
  get depth(): number {
    return this.#ready.size + this.#active.size;
  }

  add(key: string): void {
    this.#cancelTimer(key);
    if (this.#active.has(key)) this.#again.add(key);
    else this.#ready.add(key);
    this.#pump();
  }

  /** Adds the key after a while; of several waits the shortest counts. */
  addAfter(key: string, ms: number): void {
    if (ms <= 0) return this.add(key);
    const due = Date.now() + ms;
    const waiting = this.#timers.get(key);
    if (waiting && waiting.due <= due) return;
    this.#cancelTimer(key);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
    }, ms);
    this.#timers.set(key, { due, timer });
  }

  start(): this {
    this.#started = true;
    this.#pump();
    return this;
  }

  /** Takes no more keys and resolves when the workers have finished what they had. */
  async stop(): Promise<void> {
    this.#started = false;
    for (const key of [...this.#timers.keys()]) this.#cancelTimer(key);
    if (this.#active.size > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  #pump(): void {
    while (this.#started && this.#active.size < this.options.workers) {
      const [key] = this.#ready;
      if (key === undefined) return;
      this.#ready.delete(key);
      this.#active.add(key);
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    try {
      const requeue = await this.handle(key);
      this.#failures.delete(key);
      if (requeue?.afterMs !== undefined && this.#started) this.addAfter(key, requeue.afterMs);
    } catch (error) {
      const attempt = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, attempt);
      this.options.onError?.(key, error, attempt);
      if (this.#started) {
        this.addAfter(key, backoffMs(attempt, this.options.backoff ?? { initialMs: 100, maxMs: 60_000 }));
      }
    } finally {
      this.#active.delete(key);
      if (this.#again.delete(key)) this.add(key);
      this.#pump();
      if (this.#active.size === 0) this.#idle?.();
    }
  }

  #cancelTimer(key: string): void {
    const waiting = this.#timers.get(key);
    if (!waiting) return;
    clearTimeout(waiting.timer);
    this.#timers.delete(key);
  }
}
