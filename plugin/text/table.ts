import Table from 'cli-table3';

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
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 3 },
  });
  drawn.push(...rows);
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
}
