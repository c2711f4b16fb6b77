/** The table of `list`: NAME first, AGE last, as kubectl has them. Pure. */
import type { ContainerCheckpointContent } from '../../../common/api/schema.js';
import { size } from '../../text/bytes.js';
import { age, amountOfTime } from '../../text/duration.js';
import { table } from '../../text/table.js';
import { placeWord } from '../contents.js';
import type { Checkpoint } from '../kinds.js';

export interface TableWish {
  wide: boolean;
  allNamespaces: boolean;
  /** Milliseconds since the epoch. */
  now: number;
}

interface Column {
  head: string;
  cell: (item: Checkpoint, contents: ContainerCheckpointContent[]) => string | undefined;
  when?: 'wide' | 'allNamespaces';
}

const COLUMNS: Column[] = [
  { head: 'NAMESPACE', cell: ({ metadata }) => metadata.namespace, when: 'allNamespaces' },
  { head: 'NAME', cell: ({ metadata }) => metadata.name },
  { head: 'POD', cell: ({ spec }) => spec.podName },
  { head: 'CONTAINERS', cell: containers },
  { head: 'NODE', cell: ({ status }) => status?.nodeName },
  {
    head: 'SIZE',
    cell: ({ status }) => (status?.sizeBytes === undefined ? undefined : size(status.sizeBytes)),
  },
  { head: 'PHASE', cell: ({ status }) => status?.phase },
  { head: 'VIA', cell: ({ spec }) => (spec.import ? 'Import' : (spec.via ?? 'Agent')) },
  {
    head: 'WHERE',
    cell: (_, contents) => [...new Set(contents.map((each) => placeWord(each.spec)))].join(','),
  },
  {
    head: 'FROZEN',
    cell: ({ status }) =>
      status?.frozenMilliseconds === undefined ? undefined : amountOfTime(status.frozenMilliseconds),
    when: 'wide',
  },
  { head: 'POLICY', cell: ({ spec }) => spec.deletionPolicy ?? 'Delete', when: 'wide' },
  { head: 'REASON', cell: ({ status }) => status?.reason, when: 'wide' },
  { head: 'CONTENT', cell: ({ status }) => status?.boundContentName, when: 'wide' },
];

export function checkpointTable(
  items: readonly Checkpoint[],
  contents: ContainerCheckpointContent[],
  wish: TableWish,
): string[] {
  const columns = COLUMNS.filter(({ when }) => when === undefined || wish[when]);
  return table(
    [...columns.map(({ head }) => head), 'AGE'],
    items.map((item) => {
      const own = contents.filter(({ spec }) => isOf(item, spec.containerCheckpointRef));
      const { creationTimestamp } = item.metadata;
      return [
        ...columns.map(({ cell }) => cell(item, own) || '<none>'),
        creationTimestamp ? age(wish.now - Date.parse(creationTimestamp)) : '<none>',
      ];
    }),
  );
}

/** Whether a content belongs to this checkpoint, or to the part of it that is one container's. */
function isOf(
  item: Checkpoint,
  { namespace, name, uid }: ContainerCheckpointContent['spec']['containerCheckpointRef'],
) {
  if (namespace !== item.metadata.namespace) return false;
  if (item.kind === 'ContainerCheckpoint') return uid === item.metadata.uid;
  return item.status?.containerCheckpoints?.includes(name) ?? false;
}

function containers(item: Checkpoint): string {
  if (item.kind === 'ContainerCheckpoint') return item.spec.containerName;
  const prefix = `${item.metadata.name}-`;
  const parts = item.status?.containerCheckpoints ?? [];
  const known = parts.map((name) => (name.startsWith(prefix) ? name.slice(prefix.length) : name));
  return (
    known.length > 0 ? known : (item.spec.import?.archives ?? []).map((each) => each.containerName)
  ).join(',');
}
