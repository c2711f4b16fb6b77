/** Which columns of `top` a terminal has room for. Pure. */
import { cut } from '../progress/lines.js';

/** A row's cells, by column. */
export interface Cells {
  NAMESPACE?: string;
  NAME: string;
  POD: string;
  FROM: string;
  TO: string;
  PHASE: string;
  ELAPSED: string;
  MOVED: string;
  RATE: string;
  FROZEN: string;
}
type Column = keyof Cells;

const ORDER = [
  'NAMESPACE',
  'NAME',
  'POD',
  'FROM',
  'TO',
  'PHASE',
  'ELAPSED',
  'MOVED',
  'RATE',
  'FROZEN',
] as const satisfies Column[];

/** Cells between two columns, as kubectl has them. */
const GAP = 3;
/** What counts up is given its room from the beginning, so that the columns do not dance. */
const ROOM: Partial<Record<Column, number>> = { ELAPSED: 6, MOVED: 16, RATE: 10, FROZEN: 6 };
/** So much of a name is worth more than some columns. */
const LEAST_NAME = 20;
/** What goes first where there is no room: what a name or another column tells, too. */
const DROPPED = ['FROM', 'POD', 'TO', 'RATE', 'ELAPSED', 'MOVED', 'NAMESPACE'] as const satisfies Column[];

/** The guide's phases in the words of the progress of one migration (progress/migration.ts). */
const SHORT: Record<string, string> = {
  Pending: 'Prepare',
  CheckpointInProgress: 'Checkpoint',
  CheckpointCompleted: 'Checkpoint',
  MigrationInProgress: 'Transfer',
  RestoreInProgress: 'Restore',
};

/** A head and a line for each row, none wider than `width`; without an end of it (Infinity) nothing is shortened. */
export function layOut(rows: readonly Cells[], width: number): string[] {
  let columns: Column[] = ORDER.filter((column) => rows.some((row) => row[column] !== undefined));
  let shown = rows;
  const widthOf = (column: Column): number =>
    Math.max(
      column.length,
      Number.isFinite(width) ? (ROOM[column] ?? 0) : 0,
      ...shown.map((row) => row[column]?.length ?? 0),
    );
  const others = () =>
    columns.filter((column) => column !== 'NAME').reduce((sum, column) => sum + widthOf(column) + GAP, 0);
  const fits = () => others() + Math.min(LEAST_NAME, widthOf('NAME')) <= width;
  for (const column of DROPPED) {
    if (fits()) break;
    // Before the first column that tells something of its own.
    if (column === 'TO') shown = rows.map((row) => ({ ...row, PHASE: SHORT[row.PHASE] ?? row.PHASE }));
    if (!fits()) columns = columns.filter((each) => each !== column);
  }
  const name = Math.min(widthOf('NAME'), Math.max(width - others(), 1));
  const line = (cell: (column: Column) => string) =>
    columns
      .map((column) =>
        column === 'NAME' ? cut(cell(column), name).padEnd(name) : cell(column).padEnd(widthOf(column)),
      )
      .join(' '.repeat(GAP))
      .trimEnd();
  return [line((column) => column), ...shown.map((row) => line((column) => row[column] ?? ''))].map((text) =>
    text.length > width ? cut(text, width) : text,
  );
}
