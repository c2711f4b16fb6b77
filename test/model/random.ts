/** Choices that follow from one number, so that a schedule is replayed by it. Zero is the calm one: always the first choice. */
export class Choices {
  #state: number;

  constructor(private readonly seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0;
  }

  /** 0 <= value < 1 (mulberry32). */
  next(): number {
    if (this.seed === 0) return 0;
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** True with this probability; never in a calm schedule. */
  chance(probability: number): boolean {
    return this.seed !== 0 && this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.next() * values.length)]!;
  }
}
