import type { Terminal } from '../../terminal.js';
import { share, size } from '../../text/bytes.js';

const LIVE_MS = 100;
const PLAIN_MS = 5000;

/** Bytes as they move: one line that is drawn again, or a line now and then. */
export class TransferProgress {
  #done = 0;
  #told = performance.now();
  readonly #begun = performance.now();

  constructor(
    private readonly terminal: Terminal,
    private readonly what: string,
    private readonly total: number,
  ) {}

  add(bytes: number): void {
    this.#done += bytes;
    const now = performance.now();
    if (now - this.#told < (this.terminal.live ? LIVE_MS : PLAIN_MS)) return;
    this.#told = now;
    const rate = this.#done / Math.max(0.001, (now - this.#begun) / 1000);
    const line = `${this.what} ${share(this.#done, this.total)}, ${size(Math.round(rate))}/s`;
    if (this.terminal.live) this.terminal.stream.write(`\r\u001b[2K${line}`);
    else this.terminal.err(`${new Date().toISOString()} ${line}`);
  }

  /** Leaves the terminal clean. */
  end(): void {
    if (this.terminal.live) this.terminal.stream.write('\r\u001b[2K');
  }

  /** Passes bytes on and counts them. */
  async *counting(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      this.add(chunk.length);
      yield chunk;
    }
  }
}
