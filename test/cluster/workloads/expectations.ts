/**
 * What a controller has done and has not seen yet: until its copy shows it (or for five minutes), the controller counts on
 * it and does nothing more for that owner. Without, a stale copy would make it create twice
 * (k8s.io/kubernetes/pkg/controller/controller_utils.go, ControllerExpectations).
 */
const timeoutMs = 5 * 60_000;

interface Expected {
  creations: number;
  deletions: Set<string>;
  atMs: number;
}

export class Expectations {
  readonly #expected = new Map<string, Expected>();

  constructor(private readonly now: () => number = Date.now) {}

  expectCreations(key: string, count: number): void {
    this.#of(key).creations += count;
  }

  expectDeletions(key: string, uids: string[]): void {
    for (const uid of uids) this.#of(key).deletions.add(uid);
  }

  /** Seen, or known never to come. */
  creationSeen(key: string, count = 1): void {
    const expected = this.#expected.get(key);
    if (expected) expected.creations -= count;
  }

  deletionSeen(key: string, uid: string): void {
    this.#expected.get(key)?.deletions.delete(uid);
  }

  forget(key: string): void {
    this.#expected.delete(key);
  }

  areFulfilled(key: string): boolean {
    const expected = this.#expected.get(key);
    if (!expected) return true;
    if (expected.creations > 0 || expected.deletions.size > 0) {
      if (this.now() - expected.atMs < timeoutMs) return false;
    }
    this.#expected.delete(key);
    return true;
  }

  #of(key: string): Expected {
    let expected = this.#expected.get(key);
    if (!expected)
      this.#expected.set(key, (expected = { creations: 0, deletions: new Set(), atMs: this.now() }));
    return expected;
  }
}
