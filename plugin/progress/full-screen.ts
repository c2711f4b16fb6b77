/**
 * A picture that has the whole terminal for as long as it is drawn, on the alternate screen as watch(1) and top(1) have it: whatever
 * size the terminal gets, nothing of an earlier drawing is left, and what stood there before comes back in the end.
 */
import type { Terminal } from '../terminal.js';

/** Milliseconds between two drawings. */
const TICK_MS = 200;

/** xterm's control sequences (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html). */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[H\u001b[2J';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_REST = '\u001b[J';

/** Signals whose default would end the process with the alternate screen still shown. */
const ENDING = ['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

export class FullScreen {
  readonly #ticker: NodeJS.Timeout;
  readonly #draw = () => this.#write(`${HOME}${this.#picture()}${CLEAR_REST}`);
  readonly #leave = () => this.#write(LEAVE);
  readonly #end = (signal: NodeJS.Signals) => {
    this.#stop();
    this.#leave();
    process.kill(process.pid, signal);
  };

  /** @param lines what is to be seen in at most `height` lines of `width` cells */
  constructor(
    private readonly terminal: Terminal,
    private readonly lines: (width: number, height: number) => string[],
  ) {
    this.#write(ENTER);
    // Also when something is thrown that nobody catches.
    process.on('exit', this.#leave);
    for (const signal of ENDING) process.on(signal, this.#end);
    terminal.stream.on('resize', this.#draw);
    this.#draw();
    this.#ticker = setInterval(this.#draw, TICK_MS);
  }

  /** Gives the terminal back, with the last picture below what stood there before. */
  close(): void {
    this.#stop();
    this.#leave();
    const { columns, rows = 24 } = this.terminal.stream;
    this.#write(`${this.lines(columns - 1, rows).join('\n')}\n`);
  }

  #stop(): void {
    clearInterval(this.#ticker);
    this.terminal.stream.off('resize', this.#draw);
    process.off('exit', this.#leave);
    for (const signal of ENDING) process.off(signal, this.#end);
  }

  #picture(): string {
    const { columns, rows = 24 } = this.terminal.stream;
    // The last column is left free: a character there would make some terminals begin a new line.
    return this.lines(columns - 1, rows - 1)
      .slice(0, rows - 1)
      .map((line) => `${line}${CLEAR_LINE}`)
      .join('\r\n');
  }

  #write(text: string): void {
    this.terminal.stream.write(text);
  }
}
