/** `-o custom-columns=POD:.spec.podName,NODE:.status.sourceNode`, and the same from a file. Pure. */
import { UsageError } from '../cli-error.js';
import { goPrint } from './go-text.js';
import { find } from './jsonpath.js';
import { parsePath, type Template } from './jsonpath-parse.js';

export interface Column {
  head: string;
  path: Template;
}

export function readColumns(spec: string): Column[] {
  return spec.split(',').map((part) => {
    const [head = '', ...rest] = part.split(':');
    const path = rest.join(':');
    if (path === '') {
      throw new UsageError(`"${part}" is no column: write it as HEADING:.path.to.field`);
    }
    return { head, path: parsePath(path) };
  });
}

/** A file has the headings in its first line and the paths below them in the second. */
export function readColumnsFile(text: string): Column[] {
  const [heads = [], paths = []] = text.split('\n').map((line) => line.trim().split(/\s+/));
  if (heads.length !== paths.length || heads.join('') === '') {
    throw new UsageError(
      `A file of columns has headings in its first line and as many paths in its second; this one has ${heads.length} and ${paths.length}.`,
    );
  }
  return heads.map((head, index) => ({ head, path: parsePath(paths[index]!) }));
}

export function columnTable(columns: readonly Column[], objects: readonly unknown[]): string {
  const rows = objects.map((object) => columns.map(({ path }) => cell(path, object)));
  return aligned([columns.map(({ head }) => head), ...rows]);
}

function cell(path: Template, object: unknown): string {
  const found = find(path, object);
  if ((found[0]?.length ?? 0) === 0) return '<none>';
  return found.flat().map(goPrint).map(visible).join(',');
}

/** As kubectl keeps values from moving the cursor. */
function visible(text: string): string {
  return text.replaceAll('\u001b', '^[').replaceAll('\r', '\\r');
}

/** As kubectl's tab writer: three spaces between, no column narrower than six, nothing behind the last one. */
export function aligned(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(6, ...rows.map((row) => (row[column]?.length ?? 0) + 3)),
  );
  return rows
    .map((row) =>
      row.map((text, column) => (column === row.length - 1 ? text : text.padEnd(widths[column]!))).join(''),
    )
    .map((line) => `${line}\n`)
    .join('');
}
