/** The table of `list`: NAME first, AGE last, as kubectl has them. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import { conditionOf, stuckOf, wasCanceled } from '../progress/stuck.js';
import { size } from '../text/bytes.js';
import { age } from '../text/duration.js';
import { table } from '../text/table.js';

export interface TableWish {
  wide: boolean;
  allNamespaces: boolean;
  /** Milliseconds since the epoch. */
  now: number;
}

interface Column<T> {
  head: string;
  cell: (item: T) => string | undefined;
  wide?: true;
}

const NONE = '<none>';

const MIGRATION: Column<PodMigration>[] = [
  { head: 'POD', cell: ({ spec }) => spec.podName },
  { head: 'FROM', cell: ({ status }) => status?.sourceNode },
  { head: 'TO', cell: ({ spec, status }) => status?.targetNode ?? spec.targetNode },
  { head: 'PHASE', cell: state },
  { head: 'DOWNTIME', cell: ({ status }) => optional(status?.downtimeMilliseconds, (ms) => `${ms}ms`) },
  { head: 'REASON', cell: (item) => stuckReason(item) ?? item.status?.reason, wide: true },
  { head: 'RESTORED', cell: ({ status }) => status?.restoredPodName, wide: true },
  { head: 'MOVED', cell: ({ status }) => optional(status?.bytesTransferred, size), wide: true },
];

export function migrationTable(items: readonly PodMigration[], wish: TableWish): string[] {
  return draw(items, MIGRATION, wish);
}

function draw<T extends PodMigration>(
  items: readonly T[],
  columns: Column<T>[],
  { wide, allNamespaces, now }: TableWish,
): string[] {
  const all: Column<T>[] = [
    ...(allNamespaces ? [{ head: 'NAMESPACE', cell: ({ metadata }: T) => metadata.namespace }] : []),
    { head: 'NAME', cell: ({ metadata }) => metadata.name },
    ...columns.filter((column) => wide || !column.wide),
    {
      head: 'AGE',
      cell: ({ metadata }) => optional(metadata.creationTimestamp, (time) => age(now - Date.parse(time))),
    },
  ];
  return table(
    all.map(({ head }) => head),
    items.map((item) => all.map(({ cell }) => cell(item) || NONE)),
  );
}

/** The phase, unless something else is more worth knowing: that it was canceled, or that it needs a person. */
function state(migration: PodMigration): string | undefined {
  if (stuckOf(migration)) return 'Stuck';
  return wasCanceled(migration) ? 'Canceled' : migration.status?.phase;
}

function stuckReason(migration: PodMigration): string | undefined {
  return stuckOf(migration) && conditionOf(migration.status ?? {}, 'Stuck')?.reason;
}

function optional<V>(value: V | undefined, show: (value: V) => string): string | undefined {
  return value === undefined ? undefined : show(value);
}
