/** A node's disk: what was written is seen at once, but only what was synced is sure to outlive a loss of power. */
import type { Choices } from './random.js';

export class Disk {
  #files = new Map<string, unknown>();
  /** As it was when it was last synced, of what has changed since; undefined: it was not there. */
  readonly #before = new Map<string, unknown>();

  constructor(private readonly choices: Choices) {}

  has(path: string): boolean {
    return this.#files.has(path);
  }

  read<T>(path: string): T | undefined {
    return this.#files.get(path) as T | undefined;
  }

  write(path: string, content: unknown): void {
    this.#note(path);
    this.#files.set(path, content);
  }

  /** link(2): false when there is one already. */
  link(path: string, content: unknown): boolean {
    if (this.has(path)) return false;
    this.write(path, content);
    return true;
  }

  /** With everything below it. */
  remove(path: string): void {
    for (const each of this.list(path)) {
      this.#note(each);
      this.#files.delete(each);
    }
  }

  /** The path itself and all below it. */
  list(path: string): string[] {
    return [...this.#files.keys()].filter((each) => each === path || each.startsWith(`${path}/`));
  }

  sync(path: string): void {
    for (const each of this.#before.keys()) {
      if (each === path || each.startsWith(`${path}/`)) this.#before.delete(each);
    }
  }

  /** Of what was not synced, each change may be lost. */
  losePower(): void {
    for (const [path, content] of this.#before) {
      if (!this.choices.chance(0.5)) continue;
      if (content === undefined) this.#files.delete(path);
      else this.#files.set(path, content);
    }
    this.#before.clear();
  }

  #note(path: string): void {
    if (!this.#before.has(path)) this.#before.set(path, this.#files.get(path));
  }
}
