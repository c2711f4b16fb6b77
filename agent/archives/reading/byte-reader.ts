const NOTHING = Buffer.alloc(0);

/** Takes a stream of chunks in pieces of other sizes. Holds no more than one chunk and what was asked for. */
export class ByteReader {
  private readonly iterator: AsyncIterator<Uint8Array>;
  private chunk: Buffer = NOTHING;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.iterator = source[Symbol.asyncIterator]();
  }

  /** The next bytes; fewer only at the end. */
  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.pieces(length)) parts.push(part);
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** The next bytes as they come; fewer only at the end. */
  async *pieces(length: number): AsyncGenerator<Buffer> {
    for (let left = length; left > 0;) {
      if (this.chunk.length === 0 && !(await this.refill())) return;
      const piece = this.chunk.subarray(0, left);
      this.chunk = this.chunk.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  /** Everything that is left, beginning with bytes that were taken already. */
  async *rest(again: Buffer = NOTHING): AsyncGenerator<Buffer> {
    try {
      if (again.length > 0) yield again;
      do {
        if (this.chunk.length > 0) yield this.chunk;
        this.chunk = NOTHING;
      } while (await this.refill());
    } finally {
      await this.close();
    }
  }

  /** Ends the source, too. */
  async close(): Promise<void> {
    await this.iterator.return?.();
  }

  private async refill(): Promise<boolean> {
    const { done, value } = await this.iterator.next();
    if (done) return false;
    this.chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return true;
  }
}
