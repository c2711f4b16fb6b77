import type { Color } from './flags.js';
import { wrap } from './text/wrap.js';

/** Where a program writes, and what the other end can show. Data goes to `out`, all that is said on the way to `err`. */
export interface Terminal {
  /** A line, or several. */
  out(text: string): void;
  /** A text as it stands. */
  raw(text: string): void;
  err(text: string): void;
  /** stderr can show lines that are drawn again. */
  live: boolean;
  /** Colours on stderr, and on stdout. */
  color: boolean;
  colorOut: boolean;
  unicode: boolean;
  /** Width in which lines that are drawn again must fit. */
  columns: number;
  /** The stream that live display draws on. */
  stream: NodeJS.WriteStream;
}

interface Surroundings {
  stderr: { isTTY?: boolean; columns?: number };
  stdout: { isTTY?: boolean; columns?: number };
  env: NodeJS.ProcessEnv;
  plain: boolean;
  color?: Color;
}

/** What the terminal can do (https://no-color.org: NO_COLOR counts when it is not empty). */
export function abilities({ stderr, stdout, env, plain, color = 'auto' }: Surroundings) {
  const dumb = env.TERM === 'dumb';
  const colored = (stream: { isTTY?: boolean }) =>
    color === 'auto' ? stream.isTTY === true && !dumb && !plain && !env.NO_COLOR : color === 'always';
  const live = stderr.isTTY === true && !dumb && !plain;
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return {
    live,
    color: colored(stderr),
    colorOut: colored(stdout),
    unicode: /utf-?8/i.test(locale) || locale === '',
    columns: narrowest(stderr, stdout),
  };
}

/** listr2 cuts lines at stdout's width even when it draws on stderr. */
function narrowest(...streams: { columns?: number }[]): number {
  return Math.min(...streams.map(({ columns = 80 }) => columns));
}

export function terminal({ plain, color }: { plain: boolean; color: Color }): Terminal {
  const able = abilities({ stderr: process.stderr, stdout: process.stdout, env: process.env, plain, color });
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    raw: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(`${text}\n`),
    stream: process.stderr,
    ...able,
    // Its size may change while something is drawn.
    get columns() {
      return narrowest(process.stderr, process.stdout);
    },
  };
}

/** A text for this terminal: broken between words where the terminal would break within them. */
export function flow({ live, columns }: Pick<Terminal, 'live' | 'columns'>, text: string): string {
  return live ? wrap(text, columns).join('\n') : text;
}

/** Optional text, because listr2 declares its formats so. */
type Brush = (text?: string) => string;

export type Paint = Record<'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', Brush>;

/** Colours, or nothing when the terminal shall show none. */
export function paint(color: boolean): Paint {
  const with_ =
    (open: number, close: number) =>
    (text = '') =>
      color && text !== '' ? `\u001b[${open}m${text}\u001b[${close}m` : text;
  return {
    bold: with_(1, 22),
    dim: with_(2, 22),
    red: with_(31, 39),
    green: with_(32, 39),
    yellow: with_(33, 39),
    cyan: with_(36, 39),
  };
}
