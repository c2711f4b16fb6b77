import type { PodMigration } from '../../../common/api/schema.js';

/** True for one that brings a saved checkpoint back: there is no source that waits for its outcome. */
export function isRestore(migration: PodMigration): boolean {
  return migration.spec.fromCheckpoint !== undefined;
}

/** The checkpoint as people name it. */
export function checkpointWords({ spec }: PodMigration): string {
  const { kind, name } = spec.fromCheckpoint!;
  return `${kind} ${name}`;
}
