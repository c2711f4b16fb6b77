/** The report of one migration as `status` prints it. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import { rowLine } from '../progress/lines.js';
import { frozenFor, migrationView } from '../progress/migration.js';
import { downtime, sentence, stepTimes } from '../progress/summary.js';
import { size } from '../text/bytes.js';
import { age, amountOfTime } from '../text/duration.js';
import { table } from '../text/table.js';
import { wrap } from '../text/wrap.js';

const MARK = { waiting: '·', active: '>', done: '✔', failed: '✖' } as const;
const ASCII_MARK = { waiting: '-', active: '>', done: '+', failed: 'x' } as const;

/** Lines of at most about `width` cells; `now` in milliseconds since the epoch. */
export function statusReport(
  migration: PodMigration,
  { now, width, unicode }: { now: number; width: number; unicode: boolean },
): string[] {
  const { metadata, spec, status = {} } = migration;
  const view = migrationView(migration, now);
  const marks = unicode ? MARK : ASCII_MARK;
  const frozen = frozenFor(status, now);
  const created = Date.parse(metadata.creationTimestamp ?? '');
  const facts: [string, string | undefined][] = [
    ['Migration:', `${metadata.namespace ?? 'default'}/${metadata.name}`],
    ['Phase:', status.phase ?? 'not taken up by the controller yet'],
    ['Reason:', status.reason],
    ['Message:', status.message],
    ['Next:', status.hint && sentence(status.hint)],
    ['Pod:', `${spec.podName}${status.sourceNode ? ` on ${status.sourceNode}` : ''}`],
    ['Target:', target(migration)],
    [
      'Created:',
      Number.isNaN(created) ? undefined : `${metadata.creationTimestamp} (${age(now - created)} ago)`,
    ],
    ['Frozen:', frozen === undefined ? undefined : `for ${amountOfTime(frozen)} by now`],
    ['Downtime:', downtime(status)],
    ...wrap(stepTimes(status), Math.max(40, width - 16)).map((line): [string, string] => ['', line]),
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
  return [
    ...table([], shown),
    '',
    ...view.rows.map((row) => `  ${marks[row.state]} ${rowLine(row, width - 4)}`),
    ...(conditions.length > 0
      ? ['', ...table(['  CONDITION', 'STATUS', 'REASON', 'MESSAGE'], conditions)]
      : []),
  ];
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
