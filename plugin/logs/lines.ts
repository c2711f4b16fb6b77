/** Lines of several origins, brought into one order and one form. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import type { CoreEvent } from '../../common/kube/types.js';

export interface LogLine {
  /** Milliseconds since the epoch. */
  at: number;
  /** As it was written. */
  time: string;
  /** Who wrote it. */
  from: string;
  /** Level of a log, type of an event. */
  level: string;
  text: string;
}

/** Fields of a program's line that stand in columns, say nothing new, or are shown elsewhere. */
const SHOWN_OTHERWISE = new Set(['time', 'level', 'message', 'migration', 'log', 'stack']);

/** A program goes on writing about a migration that has ended for so long. */
const AFTERWARDS_MS = 120_000;

/** What the lines that belong to a migration name. */
export interface Subject {
  /** `namespace/name`, as the controller's lines have it. */
  key: string;
  /** UIDs of the migration, its checkpoint and both pods, as the agents' lines have them. */
  uids: ReadonlySet<string>;
  /** Milliseconds since the epoch; nothing of it was written after. */
  until: number;
}

export function subjectOf(migration: PodMigration, checkpointUid: string | undefined): Subject {
  const { name, namespace, uid } = migration.metadata;
  const { sourcePodUID, restoredPodUID, completionTime } = migration.status ?? {};
  const uids = [uid, sourcePodUID, restoredPodUID, checkpointUid].filter((each) => each !== undefined);
  const ended = Date.parse(completionTime ?? '');
  return {
    key: `${namespace}/${name}`,
    uids: new Set(uids),
    until: Number.isNaN(ended) ? Infinity : ended + AFTERWARDS_MS,
  };
}

/** A line of JSON that a program wrote, if it is about the migration. */
export function programLine(from: string, text: string, { key, uids }: Subject): LogLine | undefined {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // What a runtime or a crash has written in between is about no migration.
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null) return undefined;
  const ours =
    fields.migration === key ||
    Object.values(fields).some((value) => typeof value === 'string' && uids.has(value));
  if (!ours) return undefined;
  const time = String(fields.time ?? '');
  const more = Object.entries(fields)
    .filter(([name]) => !SHOWN_OTHERWISE.has(name))
    .map(([name, value]) => ` ${name}=${shown(value)}`);
  return {
    at: Date.parse(time) || 0,
    time,
    from,
    level: String(fields.level ?? ''),
    text: `${String(fields.message ?? '')}${more.join('')}`,
  };
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

export function eventLine(event: CoreEvent): LogLine {
  const time = event.lastTimestamp ?? event.eventTime ?? event.firstTimestamp ?? '';
  const { kind = '', name = '' } = event.involvedObject;
  const times = (event.count ?? 1) > 1 ? ` (${event.count} times)` : '';
  return {
    at: Date.parse(time) || 0,
    time,
    from: `event of ${kind}/${name}`,
    level: event.type ?? '',
    text: `${event.reason ?? ''}: ${event.message ?? ''}${times}`,
  };
}

/** In the order of their times; of the same time, as they came. Aligned, and each on one line. */
export function inOrder(lines: readonly LogLine[]): string[] {
  const width = (of: (line: LogLine) => string) => Math.max(0, ...lines.map((line) => of(line).length));
  const [time, from, level] = [width((l) => l.time), width((l) => l.from), width((l) => l.level)];
  return [...lines]
    .sort((a, b) => a.at - b.at)
    .map((line) =>
      [
        line.time.padEnd(time),
        line.from.padEnd(from),
        line.level.padEnd(level),
        line.text.replace(/\s*\n\s*/g, ' '),
      ].join('  '),
    );
}
