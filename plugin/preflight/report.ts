/** What a preflight has found, as a table. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import type { Paint } from '../terminal.js';
import { fitted, table } from '../text/table.js';

type Check = NonNullable<NonNullable<PodMigration['status']>['checks']>[number];

/** What cannot be known before the target pod is made. */
export const NOT_TRIED =
  'Not tried: what shows only on the target node, such as pulling the image, and the dump itself.';

export function checkTable(checks: readonly Check[], width: number | undefined, paint: Paint): string[] {
  const rows = checks.map(({ name, status, message, hint }) => [
    name,
    status,
    hint ? `${message}\nNext: ${hint}` : message,
  ]);
  const brush = { Pass: paint.green, Warn: paint.yellow, Fail: paint.red };
  // After the columns are drawn: colours have no width.
  return table([], fitted([['CHECK', 'RESULT', 'FOUND'], ...rows], width)).map((line) =>
    line.replace(
      /^(\S+ +)(Pass|Warn|Fail)(?= |$)/,
      (_, before: string, status: Check['status']) => before + brush[status](status),
    ),
  );
}

export function failed(checks: readonly Check[]): Check[] {
  return checks.filter(({ status }) => status === 'Fail');
}
