/** Takes a stream of bytes apart into pieces of the length that is asked for. */
export class Pieces {
  private readonly source: AsyncIterator<Uint8Array>;
  private waiting: Buffer[] = [];
  private bytes = 0;
  private ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.source = source[Symbol.asyncIterator]();
  }

  /** Exactly so many bytes, fewer only at the end. */
  async take(length: number): Promise<Buffer> {
    while (this.bytes < length && (await this.more()));
    return this.cut(Math.min(length, this.bytes));
  }

  /** Nothing is left. */
  async atEnd(): Promise<boolean> {
    while (this.bytes === 0 && (await this.more()));
    return this.bytes === 0;
  }

  /** Up to where `find` says that what has come so far ends; undefined when it does not end within `limit` bytes. */
  async takeUntil(find: (bytes: Buffer) => number | undefined, limit: number): Promise<Buffer | undefined> {
    for (;;) {
      const all = Buffer.concat(this.waiting);
      this.waiting = [all];
      const end = find(all);
      if (end !== undefined) return this.cut(end);
      if (this.bytes > limit || !(await this.more())) return undefined;
    }
  }

  private async more(): Promise<boolean> {
    if (this.ended) return false;
    const { value, done } = await this.source.next();
    if (done) {
      this.ended = true;
      return false;
    }
    if (value.length === 0) return true;
    this.waiting.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    this.bytes += value.length;
    return true;
  }

  private cut(length: number): Buffer {
    const parts: Buffer[] = [];
    let left = length;
    while (left > 0) {
      const first = this.waiting[0]!;
      if (first.length <= left) {
        parts.push(first);
        this.waiting.shift();
      } else {
        parts.push(first.subarray(0, left));
        this.waiting[0] = first.subarray(left);
      }
      left -= Math.min(first.length, left);
    }
    this.bytes -= length;
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }
}
