/** What works with a checkpoint at the moment, so that it must not be taken away. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import { isFinal } from '../migration/decide.js';
import type { CheckpointKind } from './kinds.js';

/** The restore that reads this checkpoint, if there is one. */
export function restoring(
  migrations: readonly PodMigration[],
  kind: CheckpointKind,
  { namespace, name }: { namespace?: string; name: string },
): PodMigration | undefined {
  return migrations.find(
    (migration) =>
      !isFinal(migration) &&
      migration.metadata.namespace === namespace &&
      migration.spec.fromCheckpoint?.name === name &&
      (migration.spec.fromCheckpoint.kind ?? 'PodCheckpoint') === kind,
  );
}
