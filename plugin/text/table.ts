import Table from 'cli-table3';
import { wrap } from './wrap.js';

/** Cells between two columns. */
const GAP = 3;

const NO_LINES = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((place) => [place, '']),
);

/** Columns as kubectl prints them: no lines, three spaces between. cli-table3 would colour even into a pipe, hence the empty styles. */
export function table(head: string[], rows: string[][]): string[] {
  const drawn = new Table({
    head: head.length > 0 ? head : [],
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
  });
  drawn.push(...rows);
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
}

/** Rows whose last column is broken so that the table fits the width. */
export function fitted(rows: string[][], width: number | undefined): string[][] {
  if (width === undefined) return rows;
  const columns = (rows[0]?.length ?? 1) - 1;
  const before = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length + GAP)),
  );
  const room = Math.max(20, width - before.reduce((sum, cells) => sum + cells, 0));
  return rows.flatMap((row) => {
    const [first = '', ...rest] = (row.at(-1) ?? '').split('\n').flatMap((line) => wrap(line, room));
    return [[...row.slice(0, -1), first], ...rest.map((line) => [...row.slice(0, -1).map(() => ''), line])];
  });
}
