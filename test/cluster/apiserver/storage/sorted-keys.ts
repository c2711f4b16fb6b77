/** Keys in order, so that lists come out as from etcd and one namespace is one range. */
export class SortedKeys {
  #keys: string[] = [];

  add(key: string): void {
    const index = this.#firstNotBefore(key);
    if (this.#keys[index] !== key) this.#keys.splice(index, 0, key);
  }

  delete(key: string): void {
    const index = this.#firstNotBefore(key);
    if (this.#keys[index] === key) this.#keys.splice(index, 1);
  }

  /** The keys from the first that is not before `start` on; with `after`, only those behind it. */
  *from(start: string, after?: string): Generator<string> {
    // A copy of the range would cost as much as the list itself: a writer in between is seen, or not, by position.
    const keys = this.#keys;
    let index = this.#firstNotBefore(after !== undefined && after > start ? after : start);
    if (after !== undefined && keys[index] === after) index++;
    for (; index < keys.length; index++) yield keys[index]!;
  }

  #firstNotBefore(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
