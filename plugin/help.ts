/** Help in kubectl's manner: what it does, examples, flags, usage. yargs' own would put the flags' types before their meaning. */
import type { Flag } from './flags.js';
import { wrap } from './text/wrap.js';

export interface HelpText {
  /** What the command does; paragraphs are divided by empty lines, and broken to fit the terminal. */
  what: string;
  /** Comment and command line, without the program's name. */
  examples: [comment: string, args: string][];
  /** Form of the command line, without the program's name. */
  usage: string;
}

export interface HelpSection {
  title: string;
  flags: Record<string, Flag>;
}

/** Of every command, for scripts (exit-code.ts). */
const EXITS =
  '0 done; 1 failed, or refused; 2 wrong command line; 124 waited too long; 130 left with Ctrl-C, what was begun goes on';

/** Cells before a flag's description; longer flags get a line of their own. */
const INDENT = 34;

/** The help of one command, for a terminal `width` cells wide. `name` is how it is called: `kubectl migrate status`. */
export function helpLines(
  name: string,
  text: HelpText,
  commands: [name: string, summary: string][],
  sections: HelpSection[],
  width: number,
): string[] {
  const lines = [...paragraphs(text.what, width), '', 'Examples:'];
  text.examples.forEach(([comment, args], index) => {
    if (index > 0) lines.push('');
    lines.push(`  # ${comment}`, `  ${name} ${args}`.trimEnd());
  });
  if (commands.length > 0) {
    const widest = Math.max(...commands.map(([command]) => command.length));
    lines.push('', 'Commands:');
    for (const [command, summary] of commands) {
      const [first = '', ...rest] = wrap(summary, Math.max(30, width - widest - 5));
      lines.push(
        `  ${command.padEnd(widest)}   ${first}`,
        ...rest.map((line) => ' '.repeat(widest + 5) + line),
      );
    }
  }
  for (const { title, flags } of sections) {
    lines.push('', `${title}:`);
    for (const [flag, options] of Object.entries(flags)) {
      if (!options.hidden) lines.push(...flagLines(flag, options, width));
    }
  }
  lines.push('', 'Exit codes:', ...wrap(EXITS, width - 2).map((line) => `  ${line}`));
  lines.push('', 'Usage:', `  ${name} ${text.usage}`);
  return lines;
}

function paragraphs(text: string, width: number): string[] {
  return text
    .split(/\n{2,}/)
    .flatMap((paragraph, index) => [
      ...(index > 0 ? [''] : []),
      ...wrap(paragraph.replaceAll('\n', ' '), width),
    ]);
}

function flagLines(flag: string, options: Flag, width: number): string[] {
  const short = options.alias ? `-${String(options.alias)}, ` : '    ';
  const value = options.value ? ` ${options.value}` : '';
  const left = flag.length === 1 ? `  -${flag}${value}` : `  ${short}--${flag}${value}`;
  const standard = options.defaultDescription ?? options.default;
  const told = standard === undefined || standard === false ? '' : ` (default: ${String(standard)})`;
  const [first = '', ...rest] = wrap(`${options.description ?? ''}${told}`, Math.max(30, width - INDENT));
  const indented = rest.map((line) => ' '.repeat(INDENT) + line);
  return left.length < INDENT - 1
    ? [left.padEnd(INDENT) + first, ...indented]
    : [left, ' '.repeat(INDENT) + first, ...indented];
}
