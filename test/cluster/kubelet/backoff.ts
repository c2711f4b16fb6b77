interface Entry {
  waitMs: number;
  updatedAt: number;
}

/**
 * Waiting times that double at each failure and are forgotten after a quiet time, as the kubelet's for restarts and
 * image pulls: 10 s, 20 s … 5 min; forgotten after 10 min
 * (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy).
 */
export class Backoff {
  readonly #entries = new Map<string, Entry>();

  constructor(
    private readonly now: () => number,
    private readonly initialMs = 10_000,
    private readonly maxMs = 300_000,
  ) {}

  /** Milliseconds still to wait since something failed at `failedAt`; 0 when it may be tried now. */
  remaining(key: string, failedAt: number): number {
    const entry = this.#entries.get(key);
    if (!entry || failedAt - entry.updatedAt > 2 * this.maxMs) return 0;
    return Math.max(0, failedAt + entry.waitMs - this.now());
  }

  /** To be called at each new attempt: the next failure waits longer. */
  attempted(key: string): void {
    const entry = this.#entries.get(key);
    const now = this.now();
    if (!entry || now - entry.updatedAt > 2 * this.maxMs) {
      this.#entries.set(key, { waitMs: this.initialMs, updatedAt: now });
    } else {
      entry.waitMs = Math.min(entry.waitMs * 2, this.maxMs);
      entry.updatedAt = now;
    }
  }

  /** The present waiting time in milliseconds, for messages. */
  waitMs(key: string): number {
    return this.#entries.get(key)?.waitMs ?? 0;
  }

  forget(prefix: string): void {
    for (const key of [...this.#entries.keys()]) if (key.startsWith(prefix)) this.#entries.delete(key);
  }
}
