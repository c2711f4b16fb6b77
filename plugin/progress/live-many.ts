import type { Terminal } from '../terminal.js';
import { drawn, MARGIN, TICK_MS } from './listr.js';
import { Board, type Ending, type ManyDisplay, type Undertaking } from './many.js';

/** More lines than a small terminal has would scroll while they are drawn again. */
const MOST_LINES = 16;

/** The board, drawn again and again: its head counts, its lines name those that are under way. */
export class LiveMany implements ManyDisplay {
  readonly #board: Board;
  readonly #run: Promise<unknown>;
  readonly #ticker: NodeJS.Timeout;
  #finish: () => void = () => {};
  #draw: () => void = () => {};

  constructor(terminal: Terminal, what: Undertaking) {
    const board = (this.#board = new Board(what));
    const finished = new Promise<void>((resolve) => (this.#finish = resolve));
    this.#run = drawn(terminal, [
      {
        title: board.head,
        task: async (task) => {
          this.#draw = () => {
            const height = Math.min(MOST_LINES, Math.max(3, (terminal.stream.rows ?? 24) - 4));
            task.title = board.head;
            task.output = board.lines(terminal.columns - MARGIN - 2, height).join('\n');
          };
          this.#draw();
          await finished;
          task.output = '';
        },
      },
    ]).run();
    this.#ticker = setInterval(() => this.#draw(), TICK_MS);
  }

  say(key: string, text: string): void {
    this.#board.say(key, text);
  }

  end(key: string, how: Ending, text: string): void {
    this.#board.end(key, how, text);
  }

  note(text: string): void {
    this.#board.note(text);
  }

  /** Draws once more and leaves the terminal clean. */
  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#draw();
    this.#finish();
    await this.#run.catch(() => {});
  }
}
