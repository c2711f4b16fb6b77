/** Prints what came of the cases as a table: a row for each place or link, a column for each kind. */
import { nameOf, type Case } from './cases.js';
import type { Outcome } from './play.js';

export interface Result {
  one: Case;
  outcome: Outcome;
}

export function line({ one, outcome }: Result): string {
  const mark = outcome.problems.length > 0 ? '✘' : '✔';
  const problems = outcome.problems.map((problem) => `\n      ${problem}`).join('');
  const logs = outcome.logs ? `\n      logs: ${outcome.logs}` : '';
  return `${mark} ${nameOf(one).padEnd(56)} ${outcome.ended}, ${outcome.seconds.toFixed(1)} s${problems}${logs}`;
}

export function matrix(results: readonly Result[]): string {
  const groups = new Map<string, Result[]>();
  for (const result of results) {
    const columns = result.one.column.startsWith('healed') ? 'links' : 'places';
    groups.set(columns, [...(groups.get(columns) ?? []), result]);
  }
  return [...groups.values()].map(table).join('\n\n');
}

function table(results: readonly Result[]): string {
  const columns = [...new Set(results.map(({ one }) => one.column))];
  const rows = [...new Set(results.map(({ one }) => one.row))];
  const cells = rows.map((row) => [
    row,
    ...columns.map((column) => {
      const found = results.find(({ one }) => one.row === row && one.column === column);
      return found ? cell(found.outcome) : '–';
    }),
  ]);
  const all = [['', ...columns], ...cells];
  const widths = all[0]!.map((_, index) => Math.max(...all.map((each) => each[index]!.length)));
  return all
    .map((each) =>
      each
        .map((text, index) => text.padEnd(widths[index]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const cell = ({ ended, seconds, problems }: Outcome): string =>
  problems.length > 0 ? `✘ ${seconds.toFixed(1)}` : `✔ ${ended} ${seconds.toFixed(1)}`;
