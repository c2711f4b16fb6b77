/** What `describe` says of one checkpoint. Pure. */
import type { ContainerCheckpointContent } from '../../../common/api/schema.js';
import type { CoreEvent } from '../../../common/kube/types.js';
import { size } from '../../text/bytes.js';
import { age, amountOfTime } from '../../text/duration.js';

import { printable } from '../../text/printable.js';
import { fitted, table } from '../../text/table.js';
import { place } from '../contents.js';
import { ownerOf, type Checkpoint } from '../kinds.js';
import { described } from './described.js';

export interface Found {
  checkpoint: Checkpoint;
  contents: ContainerCheckpointContent[];
  events: CoreEvent[];
}

export interface Page {
  /** Milliseconds since the epoch. */
  now: number;
  /** Cells; undefined: each fact is one line, for grep. */
  width: number | undefined;
  unicode: boolean;
}

export function checkpointReport({ checkpoint, contents, events }: Found, page: Page): string[] {
  const { metadata, status = {} } = checkpoint;
  const shown = facts(checkpoint, contents, page.now).filter((fact): fact is [string, string] =>
    Boolean(fact[1]),
  );
  const conditions = (status.conditions ?? []).map(({ type, status: truth, reason, message }) => [
    `  ${type}`,
    truth,
    reason,
    printable(message),
  ]);
  const told = events.map((event) => [
    `  ${event.type ?? ''}`,
    event.reason ?? '',
    since(event.lastTimestamp ?? event.eventTime, page.now),
    printable(event.message ?? ''),
  ]);
  return [
    ...table([], fitted(shown, page.width)),
    ...contents.flatMap((content) => ['', ...contentLines(content, page)]),
    ...(status.boundContentName && contents.length === 0
      ? [
          '',
          'What is in it cannot be told: its contents are gone, or you may not read them (they are cluster-scoped).',
        ]
      : []),
    ...(conditions.length > 0
      ? [
          '',
          ...table([], fitted([['  CONDITION', 'STATUS', 'REASON', 'MESSAGE'], ...conditions], page.width)),
        ]
      : []),
    ...(told.length > 0
      ? ['', ...table([], fitted([['  EVENT', 'REASON', 'AGE', 'MESSAGE'], ...told], page.width))]
      : []),
    ...(metadata.deletionTimestamp ? ['', 'It is being deleted.'] : []),
  ];
}

function facts(
  checkpoint: Checkpoint,
  contents: ContainerCheckpointContent[],
  now: number,
): [string, string | undefined][] {
  const { kind, metadata, spec, status = {} } = checkpoint;
  const content = contents[0]?.spec;
  const taken = content?.checkpointTime ?? status.completionTime;
  return [
    ['Name:', metadata.name],
    ['Namespace:', metadata.namespace ?? 'default'],
    ['Kind:', kind],
    ['Pod:', `${spec.podName}${status.podUID ? ` (${status.podUID})` : ''}`],
    ['Container:', kind === 'ContainerCheckpoint' ? spec.containerName : undefined],
    ['Node:', status.nodeName],
    ['Phase:', status.phase ?? 'not taken up by the controller yet'],
    ['Reason:', status.reason],
    ['Message:', status.message && printable(status.message)],
    ['Taken:', status.phase === 'Succeeded' && taken ? `${taken} (${since(taken, now)} ago)` : undefined],
    ['Made by:', maker(checkpoint)],
    ['Via:', via(checkpoint)],
    [
      'Frozen:',
      status.frozenMilliseconds === undefined ? undefined : `for ${amountOfTime(status.frozenMilliseconds)}`,
    ],
    ['Size:', status.sizeBytes === undefined ? undefined : size(status.sizeBytes)],
    ['Kept:', keeping(checkpoint, content?.deletionPolicy)],
    ['Content:', status.boundContentName],
    [
      'Transfer:',
      status.transfer &&
        `open until ${status.transfer.expires}, by ${status.transfer.agentNamespace}/${status.transfer.agentPod}`,
    ],
  ];
}

function maker(checkpoint: Checkpoint): string | undefined {
  const owner = ownerOf(checkpoint);
  if (owner) return `${owner.kind} ${owner.name}`;
  // The API server notes with which program an object was made, not by whom.
  const { managedFields = [] } = checkpoint.metadata as {
    managedFields?: { manager?: string; time?: string; subresource?: string }[];
  };
  const [first] = managedFields
    .filter(({ subresource }) => !subresource)
    .sort((a, b) => ((a.time ?? '') < (b.time ?? '') ? -1 : 1));
  return first?.manager && printable(first.manager);
}

function via({ spec }: Checkpoint): string {
  if (spec.import) return 'an import: it was exported elsewhere';
  return spec.via === 'Kubelet' ? 'the checkpoint API of the kubelet' : 'the agent of the node';
}

function keeping({ spec, status }: Checkpoint, policy = spec.deletionPolicy ?? 'Delete'): string {
  const after =
    policy === 'Retain' ? 'the archive stays when this is deleted' : 'the archive goes when this is deleted';
  if (spec.ttlSecondsAfterFinished === undefined) return after;
  const ended = Date.parse(status?.completionTime ?? '');
  const ttl = spec.ttlSecondsAfterFinished * 1000;
  const until = Number.isNaN(ended)
    ? `${age(ttl)} from its end on`
    : `until ${new Date(ended + ttl).toISOString().replace(/\.\d+Z$/, 'Z')}`;
  return `${until}; ${after}`;
}

function contentLines({ spec, status }: ContainerCheckpointContent, page: Page): string[] {
  const { facts, lines } = status?.description
    ? described(status.description, page)
    : { facts: [], lines: [] };
  const rows: [string, string | undefined][] = [
    [
      '  Image:',
      spec.image &&
        printable(
          spec.imageRef && spec.imageRef !== spec.image ? `${spec.image} (${spec.imageRef})` : spec.image,
        ),
    ],
    ['  Archive:', printable(place(spec))],
    ['  Size:', spec.sizeBytes === undefined ? undefined : size(spec.sizeBytes)],
    ['  SHA-256:', spec.sha256],
    ['  Restorable:', spec.restorable === undefined ? undefined : spec.restorable ? 'yes' : 'no'],
    ...facts,
    ...(spec.gaps ?? []).map((gap, index): [string, string] => [
      index === 0 ? '  Not in it:' : '',
      printable(gap),
    ]),
  ];
  const shown = rows.filter((row): row is [string, string] => Boolean(row[1]));
  return [`Container ${spec.containerName}:`, ...table([], fitted(shown, page.width)), ...lines];
}

function since(time: string | undefined, now: number): string {
  const then = Date.parse(time ?? '');
  return Number.isNaN(then) ? '<unknown>' : age(now - then);
}
