import { paint, type Paint, type Terminal } from '../terminal.js';
import { wrap } from '../text/wrap.js';
import type { Display } from './display.js';
import { belowLines, rowLine } from './lines.js';
import { drawn, MARGIN, TICK_MS, type Task } from './listr.js';
import type { Row, View } from './view.js';

type Ending = 'done' | 'failed' | 'left';

interface Slot {
  task: Task | undefined;
  ended: Promise<Ending>;
  end: (ending: Ending) => void;
}

/** Rows on stderr that are drawn again as they change: one listr2 task for each row of the view. */
export class LiveDisplay<T> implements Display<T> {
  readonly #slots: Slot[];
  readonly #run: Promise<unknown>;
  readonly #leave: () => void;
  readonly #ticker: NodeJS.Timeout;
  readonly #notes: string[] = [];
  readonly #paint: Paint;
  #object: T | undefined;

  constructor(
    private readonly terminal: Terminal,
    labels: readonly string[],
    private readonly view: (object: T) => View,
  ) {
    this.#paint = paint(terminal.color);
    this.#slots = labels.map(() => {
      let end: (ending: Ending) => void = () => {};
      const ended = new Promise<Ending>((resolve) => (end = resolve));
      return { task: undefined, ended, end };
    });
    const list = drawn(
      terminal,
      labels.map((title, index) => ({ title, task: (task) => this.#follow(task, index) })),
    );
    this.#leave = list.leave;
    this.#run = list.run();
    this.#ticker = setInterval(() => this.#draw(), TICK_MS);
  }

  update(object: T): void {
    this.#object = object;
    this.#draw();
    const { rows } = this.view(object);
    const current = rows.findIndex(({ state }) => state === 'active' || state === 'failed');
    rows.forEach((row, index) => {
      if (row.state === 'done' || (row.state === 'waiting' && index < current))
        this.#slots[index]?.end('done');
    });
  }

  note(text: string): void {
    this.#notes.push(text);
    this.#draw();
  }

  async end(how: 'succeeded' | 'failed' | 'left'): Promise<void> {
    clearInterval(this.#ticker);
    const rows = this.#object === undefined ? [] : this.view(this.#object).rows;
    const failed = Math.max(
      0,
      rows.findIndex(({ state }) => state === 'failed'),
    );
    this.#slots.forEach((slot, index) => {
      if (how === 'failed') slot.end(index < failed ? 'done' : 'failed');
      else slot.end(how === 'succeeded' ? 'done' : 'left');
    });
    await this.#run.catch(() => {});
  }

  /** One row, until it has ended. Throws when it did not end well: so listr2 knows. */
  async #follow(task: Task, index: number): Promise<void> {
    const slot = this.#slots[index];
    if (!slot) return;
    slot.task = task;
    this.#draw();
    const ending = await slot.ended;
    this.#draw();
    if (ending === 'done') return;
    // The rows after it stay as they are.
    if (ending === 'left') this.#leave();
    throw new Error(ending);
  }

  #draw(): void {
    if (this.#object === undefined) return;
    const view = this.view(this.#object);
    const width = this.terminal.columns - MARGIN;
    this.#slots.forEach(({ task }, index) => {
      const row = view.rows[index];
      if (!task || !row) return;
      const line = this.#painted(row, width);
      if (task.title !== line) task.title = line;
      if (row.state === 'active') task.output = this.#below(view).join('\n');
    });
  }

  #painted(row: Row, width: number): string {
    const line = rowLine(row, width);
    const label = line.slice(0, row.label.length);
    const rest = line.slice(row.label.length);
    return `${row.state === 'active' ? this.#paint.bold(label) : label}${row.state === 'done' ? this.#paint.dim(rest) : rest}`;
  }

  #below(view: View): string[] {
    const { cyan, red, yellow } = this.#paint;
    return belowLines(view, this.#notes).flatMap((line) => {
      const brush = line.startsWith('the pod is frozen') ? cyan : view.stuck.includes(line) ? red : yellow;
      // listr2 would cut what is too long for the terminal, and the end may be the command that helps.
      return wrap(line, this.terminal.columns - MARGIN - 4).map((part, index) =>
        brush(index ? `  ${part}` : part),
      );
    });
  }
}
