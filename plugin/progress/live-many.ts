import { Listr, ListrDefaultRendererLogLevels as Level, ListrLogger, ProcessOutput } from 'listr2';
import { paint, type Terminal } from '../terminal.js';
import { Board, type Ending, type ManyDisplay, type Undertaking } from './many.js';

/** Milliseconds between two drawings. */
const TICK_MS = 100;
/** Cells that listr2 needs in front of a line and at its end. */
const MARGIN = 4;
/** More lines than a small terminal has would scroll while they are drawn again. */
const MOST_LINES = 16;

/** One listr2 task for all of them: its title counts, its output names those that are under way. */
export class LiveMany implements ManyDisplay {
  readonly #board: Board;
  readonly #run: Promise<unknown>;
  readonly #ticker: NodeJS.Timeout;
  #finish: () => void = () => {};
  #draw: () => void = () => {};

  constructor(terminal: Terminal, what: Undertaking) {
    this.#board = new Board(what);
    const { green } = paint(terminal.color);
    const height = Math.min(MOST_LINES, Math.max(3, (terminal.stream.rows ?? 24) - 4));
    const finished = new Promise<void>((resolve) => (this.#finish = resolve));
    const logger = new ListrLogger({ processOutput: new ProcessOutput(terminal.stream, terminal.stream) });
    this.#run = new Listr(
      [
        {
          title: this.#board.head,
          task: async (_context: unknown, task) => {
            this.#draw = () => {
              task.title = this.#board.head;
              task.output = this.#board.lines(terminal.columns - MARGIN - 2, height).join('\n');
            };
            this.#draw();
            await finished;
            task.output = '';
          },
        },
      ],
      {
        renderer: 'default',
        fallbackRendererCondition: false,
        registerSignalListeners: false,
        rendererOptions: {
          logger,
          formatOutput: 'truncate',
          icon: { [Level.COMPLETED]: terminal.unicode ? '✔' : '+', [Level.OUTPUT]: ' ' },
          color: { [Level.COMPLETED]: green },
        },
      },
    ).run();
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

  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#draw();
    this.#finish();
    await this.#run.catch(() => {});
  }
}
