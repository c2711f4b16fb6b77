/** What is said when a migration is over. */
import type { PodMigration } from '../../common/api/schema.js';
import { sentence } from '../../common/sentence.js';
import { size } from '../text/bytes.js';
import { amountOfTime } from '../text/duration.js';
import { table } from '../text/table.js';
import { wrap } from '../text/wrap.js';
import { conditionOf, wasCanceled } from './stuck.js';

export { sentence };

/** What stands beside the labels still fits a terminal of 80 columns. */
const VALUE_WIDTH = 64;

/** The closing summary of a migration that succeeded. */
export function migrationSummary(migration: PodMigration): string[] {
  const { metadata, spec, status = {} } = migration;
  const place = (pod: string, node: string | undefined) => (node ? `${pod} on ${node}` : pod);
  const from = spec.fromCheckpoint;
  const rows = [
    ['  From:', from ? `checkpoint ${from.name} of ${spec.podName}` : place(spec.podName, status.sourceNode)],
    [
      '  To:',
      place(status.restoredPodName ?? spec.restoredPodName ?? '?', status.targetNode ?? spec.targetNode),
    ],
    ['  Downtime:', downtime(status)],
    ...wrap(stepTimes(status), VALUE_WIDTH).map((line) => ['', line]),
    ['  Total:', status.totalMilliseconds === undefined ? '' : amountOfTime(status.totalMilliseconds)],
    ['  Moved:', status.bytesTransferred === undefined ? '' : size(status.bytesTransferred)],
  ];
  return [
    from
      ? `Restored pod ${metadata.namespace ?? 'default'}/${status.restoredPodName ?? spec.restoredPodName ?? spec.podName}.`
      : `Migrated pod ${metadata.namespace ?? 'default'}/${spec.podName}.`,
    ...table(
      [],
      rows.filter(([, value]) => value !== ''),
    ),
  ];
}

/** `446 ms ± 2 ms`; empty when it was not measured. */
export function downtime(status: NonNullable<PodMigration['status']>): string {
  const { downtimeMilliseconds, downtimeErrorMilliseconds } = status;
  if (downtimeMilliseconds === undefined) return '';
  const error =
    downtimeErrorMilliseconds === undefined ? '' : ` ± ${Math.max(1, downtimeErrorMilliseconds)} ms`;
  return `${amountOfTime(downtimeMilliseconds)}${error}`;
}

/** `freeze 34 ms, dump 180 ms, …` */
export function stepTimes({ steps = [] }: NonNullable<PodMigration['status']>): string {
  return steps
    .map(({ name, milliseconds }) => `${name.toLowerCase()} ${amountOfTime(milliseconds)}`)
    .join(', ');
}

/** What went wrong, why and what to do next. */
export function failureLines(migration: PodMigration): string[] {
  const { metadata, spec, status = {} } = migration;
  const pod = `${metadata.namespace ?? 'default'}/${spec.podName}`;
  if (wasCanceled(migration)) {
    // Only that it was canceled is said twice; what became of the pod is not.
    const why = conditionOf(status, 'Failed')?.message.split('\n')[0] ?? '';
    const rest = status.message?.startsWith(why) ? status.message.slice(why.length).trim() : status.message;
    return [`The migration ${metadata.name} of pod ${pod} was canceled. ${rest ?? ''}`.trim()];
  }
  const lines = [
    `The ${spec.fromCheckpoint ? `restore ${metadata.name} of checkpoint ${spec.fromCheckpoint.name}` : `migration ${metadata.name} of pod ${pod}`} failed: ${sentence(status.message ?? 'the controller gives no reason')}`,
  ];
  if (status.reason) lines.push(`Reason: ${status.reason}`);
  if (status.hint) lines.push(`Next: ${sentence(status.hint)}`);
  return lines;
}
