/** What ends a migration from outside before its commit. */
import { failureOf, type Failure } from '../agents/failure.js';
import type { Observed } from './observed.js';

/** Why the migration must be rolled back although none of its own steps has failed; undefined: go on. */
export function interruption({ migration, source, target, now }: Observed): Failure | undefined {
  const { metadata, spec, status = {} } = migration;
  if (metadata.deletionTimestamp) {
    return failureOf('Canceled', `Migration ${metadata.name} was deleted.`);
  }
  const timeout = spec.timeoutSeconds ?? 600;
  const began = Date.parse(status.startTime ?? '');
  if (now - began > timeout * 1000) {
    return failureOf(
      'TimedOut',
      `The migration was not done within ${timeout} s${status.message ? ` (last: ${status.message.replace(/\.$/, '')})` : ''}.`,
      'Migrate again with a larger spec.timeoutSeconds.',
    );
  }
  if (!source.pod) {
    return failureOf('SourceChanged', `Pod ${spec.podName} was deleted during the migration.`);
  }
  if (source.pod.metadata.deletionTimestamp) {
    return failureOf('SourceChanged', `Pod ${spec.podName} is being deleted.`);
  }
  if (status.restoredPodUID !== undefined) {
    const name = status.restoredPodName;
    if (!target.pod || target.pod.metadata.deletionTimestamp) {
      return failureOf('TargetPodFailed', `Pod ${name} was deleted during the migration.`, 'Migrate again.');
    }
    if (target.pod?.status?.phase === 'Failed' || target.pod?.status?.phase === 'Succeeded') {
      const { reason, message } = target.pod.status;
      return failureOf(
        'TargetPodFailed',
        `Pod ${name} ended before it was restored: ${[reason, message].filter(Boolean).join(': ') || target.pod.status.phase}.`,
      );
    }
  }
  return undefined;
}
