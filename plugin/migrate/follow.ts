import type { PodMigration } from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import { awaitOutcome, type Outcome } from '../await-outcome.js';
import { IDLE } from '../idle.js';
import { migrationDisplay } from '../progress/choose.js';
import type { Terminal } from '../terminal.js';

/** After the time in which a migration must be done the controller rolls it back; so much longer we wait to see it. */
export const ROLLBACK_MS = 10_000;

export interface FollowOptions {
  terminal: Terminal;
  client: KubeClient;
  /** Milliseconds to wait; 0 waits for ever. */
  timeoutMs: number;
  /** Aborted when the person does not want to wait any longer. */
  detach: AbortSignal;
  /** Told of each state before it is displayed. */
  onState?: (migration: PodMigration) => void;
}

/** Shows one migration, or restore from a checkpoint, on its way to the end. */
export async function followMigration(
  { metadata, spec }: PodMigration,
  { terminal, client, ...rest }: FollowOptions,
): Promise<Outcome<PodMigration>> {
  return awaitOutcome<PodMigration>({
    resource: client.podMigrations,
    name: metadata.name,
    namespace: metadata.namespace ?? 'default',
    display: await migrationDisplay(terminal, spec.fromCheckpoint ? 'restore' : 'migration'),
    idle: IDLE,
    ...rest,
  });
}
