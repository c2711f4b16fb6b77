/** listr2 as our displays use it: on stderr, in the terminal's own signs and colours. */
import {
  Listr,
  ListrDefaultRendererLogLevels as Level,
  ListrLogger,
  ProcessOutput,
  type DefaultRenderer,
  type ListrTaskWrapper,
  type SimpleRenderer,
} from 'listr2';
import { paint, type Terminal } from '../terminal.js';

export type Task = ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

/** Milliseconds between two drawings: tenths of seconds count up smoothly. */
export const TICK_MS = 100;
/** Cells that listr2 needs in front of a row and at its end. */
export const MARGIN = 4;

export interface Drawn {
  /** Draws until all tasks have ended. */
  run(): Promise<unknown>;
  /** From now on a task that fails is shown as left: not to be watched any longer is no failure. */
  leave(): void;
}

export function drawn(
  terminal: Terminal,
  tasks: readonly { title: string; task: (task: Task) => Promise<void> }[],
): Drawn {
  const { red, green, yellow, dim } = paint(terminal.color);
  const [tick, cross, left, dot] = terminal.unicode ? ['✔', '✖', '…', '·'] : ['+', 'x', '.', '-'];
  const logger = new ListrLogger({ processOutput: new ProcessOutput(terminal.stream, terminal.stream) });
  const list = new Listr(
    tasks.map(({ title, task }) => ({ title, task: (_context: unknown, each: Task) => task(each) })),
    {
      renderer: 'default',
      // Whether to draw live was decided from stderr, listr2 would ask stdout.
      fallbackRendererCondition: false,
      // Its own handler would end the process.
      registerSignalListeners: false,
      rendererOptions: {
        logger,
        formatOutput: 'truncate',
        showErrorMessage: false,
        icon: {
          [Level.COMPLETED]: tick,
          [Level.FAILED]: cross,
          [Level.WAITING]: dot,
          [Level.COMPLETED_WITH_FAILED_SISTER_TASKS]: dot,
          [Level.OUTPUT]: ' ',
        },
        color: {
          [Level.COMPLETED]: green,
          [Level.FAILED]: red,
          [Level.PENDING]: yellow,
          [Level.WAITING]: dim,
          [Level.COMPLETED_WITH_FAILED_SISTER_TASKS]: dim,
        },
      },
    },
  );
  return {
    run: () => list.run(),
    leave() {
      const { icon, color } = logger.options ?? {};
      if (icon) icon[Level.FAILED] = left;
      if (color) color[Level.FAILED] = yellow;
    },
  };
}
