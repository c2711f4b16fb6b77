/** Findings as a person reads them. Pure. */
import type { Paint } from '../terminal.js';
import { table } from '../text/table.js';
import { wrap } from '../text/wrap.js';
import { STATUSES, type Finding, type Status } from './finding.js';

const INDENT = '    ';
const HEAD = ['CHECK', 'NODE', 'STATUS', 'FOUND'];
const CLUSTER = '<cluster>';
const BREAK = '\n';

/** A table, and below each row that is not ok a sentence and what to do. `width` is that of the terminal. */
export function report(findings: readonly Finding[], width: number, paint: Paint): string[] {
  const rows = table(
    HEAD,
    findings.map(({ check, node = CLUSTER, status, message }) => [
      check,
      node,
      status,
      status === 'ok' ? message : '',
    ]),
  );
  const [head = '', ...lines] = rows;
  return [
    head,
    ...findings.flatMap((finding, index) => [
      coloured(cut(lines[index] ?? '', width), finding.status, paint),
      ...(finding.status === 'ok' ? [] : below(finding, width, paint)),
    ]),
  ];
}

function below({ message, commands }: Finding, width: number, { cyan, dim }: Paint): string[] {
  const text = message.split(BREAK).flatMap((line) => wrap(line, Math.max(30, width - INDENT.length)));
  return [
    ...text.map((line) => INDENT + line),
    // Never broken: it is copied.
    ...commands.map((command) => {
      const [, typed = command, comment = ''] = /^(.*?)( # .*)?$/s.exec(command) ?? [];
      return `${INDENT}$ ${cyan(typed)}${dim(comment)}`;
    }),
  ];
}

/** The word alone is coloured; it stands after two names, which may be the same word. */
function coloured(line: string, status: Status, { red, yellow, green }: Paint): string {
  const brush = { ok: green, warn: yellow, fail: red, unknown: yellow }[status];
  return line.replace(
    new RegExp(`^(\\S+ +\\S+ +)${status}\\b`),
    (_, before: string) => before + brush(status),
  );
}

const cut = (line: string, width: number): string =>
  line.length > width ? `${line.slice(0, width - 1)}…` : line;

/** `2 of 31 checks failed, 1 warning, 3 could not be made.` */
export function summary(findings: readonly Finding[]): string {
  const { ok, warn, fail, unknown } = counts(findings);
  const parts = [
    ...(fail > 0
      ? [`${fail} of ${findings.length} checks failed`]
      : [`${ok} of ${findings.length} checks ok`]),
    ...(warn > 0 ? [warn === 1 ? '1 warning' : `${warn} warnings`] : []),
    ...(unknown > 0 ? [`${unknown} could not be made`] : []),
  ];
  return `${parts.join(', ')}.`;
}

export function counts(findings: readonly Finding[]): Record<Status, number> {
  const count = (status: Status) => findings.filter((finding) => finding.status === status).length;
  return Object.fromEntries(STATUSES.map((status) => [status, count(status)])) as Record<Status, number>;
}
