import { setTimeout as delay } from 'node:timers/promises';

/**
 * Lets one request for a container be made after the other, each in a second of its own: the kubelet names archives by the
 * second, and two in one would be written to the same file.
 */
export class Turns {
  private readonly last = new Map<string, Promise<unknown>>();
  private readonly asked = new Map<string, number>();

  constructor(
    private readonly now: () => number = Date.now,
    private readonly wait: (ms: number) => Promise<unknown> = delay,
  ) {}

  /**
   * Does `work` when everything before it with the same key is over.
   *
   * @param taken seconds (in milliseconds since 1970) in which archives lie already
   */
  async take<T>(key: string, taken: () => number[], work: () => Promise<T>): Promise<T> {
    const before = this.last.get(key);
    const mine = (async () => {
      await before?.catch(() => {});
      await this.ownSecond(key, taken);
      return work();
    })();
    this.last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.last.get(key) === mine) this.last.delete(key);
    }
  }

  private async ownSecond(key: string, taken: () => number[]): Promise<void> {
    for (const [other, at] of this.asked) if (at < this.now() - 10_000) this.asked.delete(other);
    for (;;) {
      const now = this.now();
      const second = now - (now % 1000);
      if (this.asked.get(key) !== second && !taken().includes(second)) {
        this.asked.set(key, second);
        return;
      }
      await this.wait(second + 1000 - now);
    }
  }
}
