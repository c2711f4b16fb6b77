import type { PodMigration } from '../../common/api/schema.js';
import { share, size } from '../text/bytes.js';
import { amountOfTime } from '../text/duration.js';
import { stuckLines } from './stuck.js';
import { elapsed, span, type Row, type View } from './view.js';

type Status = NonNullable<PodMigration['status']>;

/** The guide's phases in four rows. CheckpointCompleted is an instant, so it shares a row. */
export const MIGRATION_ROWS = [
  { label: 'Prepare', phases: ['Pending'], steps: [] },
  {
    label: 'Checkpoint',
    phases: ['CheckpointInProgress', 'CheckpointCompleted'],
    steps: ['Freeze', 'Dump', 'Collect'],
  },
  { label: 'Transfer', phases: ['MigrationInProgress'], steps: ['Transfer', 'Stage'] },
  { label: 'Restore', phases: ['RestoreInProgress'], steps: ['Restore'] },
] as const;

type RowKind = (typeof MIGRATION_ROWS)[number];

/** The rows of this one: what brings a saved checkpoint back takes none. */
export function rowsOf(what: 'migration' | 'restore'): readonly RowKind[] {
  return what === 'migration' ? MIGRATION_ROWS : MIGRATION_ROWS.filter(({ label }) => label !== 'Checkpoint');
}

const DOING: Record<string, string> = {
  Freeze: 'freezing',
  Dump: 'dumping memory',
  Collect: 'collecting files',
  Transfer: 'moving',
  Stage: 'staging',
  Restore: 'restoring',
};

/** How a migration stands, `now` being milliseconds since the epoch by the controller's clock. */
export function migrationView(migration: PodMigration, now: number): View {
  const status = migration.status ?? {};
  const rows = rowsOf(migration.spec.fromCheckpoint ? 'restore' : 'migration').map((kind) =>
    row(migration, kind, now),
  );
  if (!status.phase) {
    const since = Date.parse(migration.metadata.creationTimestamp ?? '');
    rows[0] = {
      label: MIGRATION_ROWS[0].label,
      state: 'active',
      detail: 'waiting for the controller',
      ...(Number.isNaN(since) ? {} : { elapsedMs: Math.max(0, now - since) }),
    };
  }
  const frozenMs = frozenFor(status, now);
  return {
    rows,
    stuck: stuckLines(migration, now),
    warnings: status.warnings ?? [],
    ...(frozenMs === undefined ? {} : { frozenMs }),
  };
}

/**
 * Milliseconds since the source was frozen; undefined when it is not (any more). Until the source's agent has told the
 * instant (frozenAt, with the finished dump) it is the time since it was asked to. A rollback thaws at an instant that the
 * status does not tell, so nothing is counted then.
 */
export function frozenFor(status: Status, now: number): number | undefined {
  const over = status.phase === 'Succeeded' || status.phase === 'Failed';
  if (over || status.downtimeMilliseconds !== undefined) return undefined;
  if (isTrue(status, 'Committed') || isTrue(status, 'RollingBack')) return undefined;
  const since = Date.parse(status.frozenAt ?? askedToFreeze(status) ?? '');
  return Number.isNaN(since) ? undefined : Math.max(0, now - since);
}

/** When the source's agent was asked to freeze: the condition has whole seconds, the phase milliseconds. */
function askedToFreeze({ conditions = [], phaseTransitions = [] }: Status): string | undefined {
  const asked = conditions.find(({ type, status }) => type === 'Checkpointed' && status === 'False');
  const phase = phaseTransitions.findLast((entry) => entry.phase === 'CheckpointInProgress');
  if (!asked) return undefined;
  if (!phase) return asked.lastTransitionTime;
  return Date.parse(asked.lastTransitionTime) > Date.parse(phase.transitionTime)
    ? asked.lastTransitionTime
    : phase.transitionTime;
}

function isTrue({ conditions = [] }: Status, type: string): boolean {
  return conditions.some((condition) => condition.type === type && condition.status === 'True');
}

/** `moving 12.3 of 45.0 MiB, 120 MiB/s`, or undefined when no step is running. */
export function stepText(status: Status, now: number): string | undefined {
  const { progress } = status;
  if (!progress) return undefined;
  const doing = DOING[progress.step] ?? progress.step.toLowerCase();
  if (!progress.bytesDone && !progress.bytesTotal) return doing;
  const done = progress.bytesDone ?? 0;
  const parts = [`${doing} ${share(done, progress.bytesTotal)}`];
  const seconds = (now - Date.parse(progress.since ?? '')) / 1000;
  const moving = progress.bytesTotal === undefined || done < progress.bytesTotal;
  if (moving && done > 0 && seconds > 0.2) parts.push(`${size(done / seconds)}/s`);
  return parts.join(', ');
}

function row(migration: PodMigration, kind: RowKind, now: number): Row {
  const status = migration.status ?? {};
  const time = span(migration, kind.phases);
  const current = status.phase !== undefined && (kind.phases as readonly string[]).includes(status.phase);
  if (!time && !current) return { label: kind.label, state: 'waiting', detail: '' };
  const elapsedMs = time ? elapsed(time, now) : undefined;
  const base = { label: kind.label, ...(elapsedMs === undefined ? {} : { elapsedMs }) };
  if (current) {
    // While it rolls back or is stuck, the sentence tells more than the last step's bytes.
    const stuck = isTrue(status, 'Stuck');
    const said = isTrue(status, 'RollingBack') || stuck;
    const detail = (said ? undefined : stepText(status, now)) ?? status.message ?? '';
    return { ...base, state: 'active', detail: stuck ? `stuck: ${detail}` : detail };
  }
  if (status.phase === 'Failed' && kind === lastEntered(migration)) {
    return { ...base, state: 'failed', detail: status.reason ?? 'failed' };
  }
  return { ...base, state: 'done', detail: outcome(status, kind) };
}

/** The row in which a migration ended. */
function lastEntered(migration: PodMigration): RowKind | undefined {
  const entered = migration.status?.phaseTransitions ?? [];
  return MIGRATION_ROWS.findLast(({ phases }) =>
    entered.some(({ phase }) => (phases as readonly string[]).includes(phase)),
  );
}

/** What was done in a row that is over. */
function outcome(status: Status, kind: RowKind): string {
  if (kind.label === 'Prepare') {
    return status.restoredPodName
      ? `${status.restoredPodName} prepared on ${status.targetNode ?? 'the target'}`
      : '';
  }
  const steps = (status.steps ?? []).filter(({ name }) => (kind.steps as readonly string[]).includes(name));
  const parts = steps.map(({ name, milliseconds }) => `${name.toLowerCase()} ${amountOfTime(milliseconds)}`);
  const moved = kind.label === 'Transfer' ? status.bytesTransferred : undefined;
  return [...(moved === undefined ? [] : [`${size(moved)} moved`]), ...parts].join(', ');
}
