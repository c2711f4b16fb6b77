/** What is said when several pods were moved, or could not be. Pure. */
import { amountOfTime } from '../text/duration.js';
import { fitted, table } from '../text/table.js';
import type { Result } from './result.js';

const HEAD = ['POD', 'NAMESPACE', 'OUTCOME', 'NODE', 'DOWNTIME', 'WHY'];

/** A row for each pod; the last column is broken to fit a terminal of `width` cells. */
export function resultTable(results: readonly Result[], width: number | undefined): string[] {
  const rows = results.map(({ pod, namespace, outcome, node, downtimeMs, why }) => [
    pod,
    namespace,
    outcome,
    node ?? '',
    downtimeMs === undefined ? '' : amountOfTime(downtimeMs),
    why,
  ]);
  // A column in which nothing stands is not shown.
  const used = HEAD.map((_, column) => rows.some((row) => row[column] !== ''));
  const kept = <T>(row: readonly T[]) => row.filter((_, column) => used[column]);
  const shown = rows.map(kept);
  const head = kept(HEAD);
  const lines = used.at(-1) ? fitted([head, ...shown], width) : [head, ...shown];
  return table([], lines);
}

/** `12 moved, 2 evicted, 3 left` */
export function counted(results: readonly Result[]): string {
  const count = (outcome: Result['outcome']) => results.filter((each) => each.outcome === outcome).length;
  return (['Moved', 'Movable', 'Evicted', 'Left', 'Failed', 'Unfinished'] as const)
    .map((outcome) => [count(outcome), outcome.toLowerCase()] as const)
    .filter(([number]) => number > 0)
    .map(([number, word]) => `${number} ${word}`)
    .join(', ');
}
