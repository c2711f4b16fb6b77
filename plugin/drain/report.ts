/** What is said when a drain is over. Pure. */
import { amountOfTime } from '../text/duration.js';
import { fitted, table } from '../text/table.js';
import type { Result } from './plan.js';

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

/** `k8s-worker: 12 moved, 2 evicted, 3 left (of which 1 keeps the node from being empty).` */
export function summaryLine(node: string, results: readonly Result[]): string {
  const count = (outcome: Result['outcome']) => results.filter((each) => each.outcome === outcome).length;
  const parts = (['Moved', 'Evicted', 'Left', 'Failed', 'Unfinished'] as const)
    .map((outcome) => [count(outcome), outcome.toLowerCase()] as const)
    .filter(([number]) => number > 0)
    .map(([number, word]) => `${number} ${word}`);
  const blocking = results.filter(({ blocks }) => blocks).length;
  const rest =
    blocking === 0
      ? 'Nothing but what belongs to the node is left on it.'
      : `${blocking === 1 ? 'One pod' : `${blocking} pods`} still ${blocking === 1 ? 'runs' : 'run'} on it.`;
  return `${node}: ${parts.join(', ')}. ${rest}`;
}
