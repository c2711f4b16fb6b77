/**
 * The controller's clock as far as it can be told from here. Times in a status are the controller's; a counter that runs in
 * the terminal must not start at minus three seconds because the laptop is behind.
 *
 * Each time that is seen for the first time was written a moment ago, so the smallest difference to our own clock that was
 * ever seen is the offset plus the shortest delay. What was already there when we began to look tells only that its times
 * are not in the future.
 */
export class ControllerClock {
  /** Milliseconds that our clock is ahead of the controller's, at most. */
  #ahead = Number.POSITIVE_INFINITY;
  #newest = Number.NEGATIVE_INFINITY;
  #first = true;

  constructor(private readonly now: () => number = Date.now) {}

  /** Takes note of the times in an object that has just come in. */
  see(times: readonly (string | undefined)[]): void {
    const stamps = times.map((time) => Date.parse(time ?? '')).filter((stamp) => !Number.isNaN(stamp));
    const newest = Math.max(...stamps, Number.NEGATIVE_INFINITY);
    if (newest <= this.#newest) return;
    this.#newest = newest;
    const ahead = this.now() - newest;
    if (!this.#first || ahead < 0) this.#ahead = Math.min(this.#ahead, ahead);
    this.#first = false;
  }

  /** Milliseconds since the epoch by the controller's clock. */
  read(): number {
    // Below a second it is rather the delay of the news than a wrong clock.
    const skewed = Number.isFinite(this.#ahead) && (this.#ahead < 0 || this.#ahead > 1000);
    return this.now() - (skewed ? this.#ahead : 0);
  }
}
