import type { KubeObject } from '../kube-object.js';
import { age } from '../time.js';
import type { TableSpec } from './table.js';

type SimpleColumn =
  'Age' | [name: string, cell: (object: KubeObject, nowMs: number) => unknown, priority?: 0 | 1];

/** A table of the object's name and the given columns. */
export function simpleTable(columns: SimpleColumn[]): TableSpec {
  const cells = columns.map((column) =>
    column === 'Age'
      ? (object: KubeObject, now: number): unknown => age(object.metadata.creationTimestamp, now)
      : column[1],
  );
  return {
    columns: [
      { name: 'Name', type: 'string', format: 'name' },
      ...columns.map((column) => {
        const [name, , priority = 0] = column === 'Age' ? (['Age', undefined, 0] as const) : column;
        return { name, type: 'string' as const, priority };
      }),
    ],
    row: (object, now) => [object.metadata.name, ...cells.map((cell) => cell(object, now))],
  };
}
