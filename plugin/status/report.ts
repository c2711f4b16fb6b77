/** The report of one migration as `status` prints it. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import { rowLine } from '../progress/lines.js';
import { frozenFor, migrationView } from '../progress/migration.js';
import { decisions, secondsTime, stuckOf, wasCanceled, type Stuck } from '../progress/stuck.js';
import { downtime, sentence, stepTimes } from '../progress/summary.js';
import { size } from '../text/bytes.js';
import { age, amountOfTime } from '../text/duration.js';
import { fitted, table } from '../text/table.js';

const MARK = { waiting: '·', active: '>', done: '✔', failed: '✖' } as const;
const ASCII_MARK = { waiting: '-', active: '>', done: '+', failed: 'x' } as const;

/**
 * Lines for a terminal of `width` cells, broken between words; without a width each fact is one line, for grep. `now` in
 * milliseconds since the epoch.
 */
export function statusReport(
  migration: PodMigration,
  { now, width, unicode }: { now: number; width: number | undefined; unicode: boolean },
): string[] {
  const { metadata, spec, status = {} } = migration;
  const view = migrationView(migration, now);
  const marks = unicode ? MARK : ASCII_MARK;
  const frozen = frozenFor(status, now);
  const stuck = stuckOf(migration);
  const created = Date.parse(metadata.creationTimestamp ?? '');
  const facts: [string, string | undefined][] = [
    ['Migration:', `${metadata.namespace ?? 'default'}/${metadata.name}`],
    ['Phase:', phase(migration)],
    ['Reason:', status.reason],
    // What it is stuck with says the same and more.
    ['Message:', stuck && status.message === stuck.what ? undefined : status.message],
    ['Stuck:', stuck && stuckFor(stuck, now)],
    ['Check:', stuck?.check],
    ...several('Decide:', stuck && decisions(migration, stuck.sides)),
    ['Next:', status.hint && sentence(status.hint)],
    ['Pod:', `${spec.podName}${status.sourceNode ? ` on ${status.sourceNode}` : ''}`],
    ['Target:', target(migration)],
    [
      'Created:',
      Number.isNaN(created) ? undefined : `${metadata.creationTimestamp} (${age(now - created)} ago)`,
    ],
    ['Frozen:', frozen === undefined ? undefined : `for ${amountOfTime(frozen)} by now`],
    ['Downtime:', downtime(status)],
    ...(status.steps ? [['', stepTimes(status)] as [string, string]] : []),
    ['Total:', status.totalMilliseconds === undefined ? undefined : amountOfTime(status.totalMilliseconds)],
    ['Moved:', status.bytesTransferred === undefined ? undefined : size(status.bytesTransferred)],
    ['Checkpoint:', status.podCheckpointName],
    ...several('Changed:', status.specChanges),
    ...several('Warnings:', status.warnings),
  ];
  const shown = facts.filter((fact): fact is [string, string] => Boolean(fact[1]));
  const conditions = (status.conditions ?? []).map(({ type, status: truth, reason, message }) => [
    `  ${type}`,
    truth,
    reason,
    message,
  ]);
  const head = ['  CONDITION', 'STATUS', 'REASON', 'MESSAGE'];
  return [
    ...table([], fitted(shown, width)),
    '',
    ...view.rows.map((row) => `  ${marks[row.state]} ${rowLine(row, (width ?? 100) - 4)}`),
    ...(conditions.length > 0 ? ['', ...table([], fitted([head, ...conditions], width))] : []),
  ];
}

function phase(migration: PodMigration): string {
  const { phase } = migration.status ?? {};
  if (!phase) return 'not taken up by the controller yet';
  return wasCanceled(migration) ? `${phase} (canceled)` : phase;
}

function stuckFor({ what, since }: Stuck, now: number): string {
  return Number.isNaN(since) ? what : `for ${age(now - since)} (since ${secondsTime(since)}): ${what}`;
}

function target({ spec, status = {} }: PodMigration): string | undefined {
  const node = status.targetNode ?? spec.targetNode;
  const pod = status.restoredPodName ?? spec.restoredPodName;
  if (pod) return node ? `${pod} on ${node}` : pod;
  return node ? `on ${node}` : undefined;
}

function several(label: string, texts: string[] = []): [string, string][] {
  return texts.map((text, index) => [index === 0 ? label : '', text]);
}
