import { Listr, ListrDefaultRendererLogLevels as Level, ListrLogger, ProcessOutput } from 'listr2';
import { paint, type Terminal } from '../terminal.js';

/** Milliseconds between two drawings. */
const TICK_MS = 100;
/** Cells that listr2 needs in front of a line and at its end. */
const MARGIN = 4;
/** More lines than a small terminal has would scroll while they are drawn again. */
const MOST_LINES = 16;

/** What is drawn: a head, and lines below it that fit. */
export interface Picture {
  head: string;
  lines(width: number, height: number): string[];
}

/** A few lines that are drawn again as they change: one listr2 task with its title and its output. */
export class LiveLines {
  readonly #run: Promise<unknown>;
  readonly #ticker: NodeJS.Timeout;
  #finish: () => void = () => {};
  #draw: () => void = () => {};

  constructor(terminal: Terminal, picture: Picture) {
    const { green } = paint(terminal.color);
    const height = Math.min(MOST_LINES, Math.max(3, (terminal.stream.rows ?? 24) - 4));
    const finished = new Promise<void>((resolve) => (this.#finish = resolve));
    const logger = new ListrLogger({ processOutput: new ProcessOutput(terminal.stream, terminal.stream) });
    this.#run = new Listr(
      [
        {
          title: picture.head,
          task: async (_context: unknown, task) => {
            this.#draw = () => {
              task.title = picture.head;
              task.output = picture.lines(terminal.columns - MARGIN - 2, height).join('\n');
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

  /** Draws once more and leaves the terminal clean. */
  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#draw();
    this.#finish();
    await this.#run.catch(() => {});
  }
}
