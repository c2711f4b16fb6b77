/** Asks the controller whether a pod could be migrated: a PodMigration that only looks, removed when it has answered. */
import type { PodMigration } from '../../common/api/schema.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import { awaitOutcome, type Outcome } from '../await-outcome.js';
import { CliError } from '../cli-error.js';
import { IDLE } from '../idle.js';
import { createMigration, migrationFor, type MigrationWish } from '../migrate/create.js';

/** Looking takes a second or two; an agent that cannot be reached is given up after some more. */
const ANSWER_MS = 60_000;

export async function askPreflight(
  client: KubeClient,
  namespace: string,
  wish: MigrationWish,
  { detach, note }: { detach: AbortSignal; note: (text: string) => void },
): Promise<Outcome<PodMigration>> {
  const looking = { ...wish, preflightOnly: true };
  await requireKnown(client, namespace, looking);
  const { metadata } = await createMigration(client, namespace, looking);
  try {
    const outcome = await awaitOutcome<PodMigration>({
      resource: client.podMigrations,
      name: metadata.name,
      namespace,
      display: { update: () => {}, note, end: () => Promise.resolve() },
      timeoutMs: ANSWER_MS,
      detach,
      idle: IDLE,
    });
    if (wasTakenForCanceled(outcome)) throw older('The controller that acts in this cluster is older and');
    return outcome;
  } finally {
    await remove(client, metadata, note);
  }
}

/** Older CRDs would drop the field without a word, and what is left of the object would move the pod. */
async function requireKnown(client: KubeClient, namespace: string, wish: MigrationWish): Promise<void> {
  const tried = await client.podMigrations.create(migrationFor(namespace, wish), namespace, {
    dryRun: 'All',
  });
  if (tried.spec.preflightOnly) return;
  throw older('What is installed in this cluster is older and');
}

/** By a controller that does not know what was asked, beside newer CRDs: in the middle of an update, or one that has failed. */
function wasTakenForCanceled({ how, object }: Outcome<PodMigration>): boolean {
  return how === 'failed' && object?.status?.reason === 'Canceled' && !object.status.checks?.length;
}

const older = (who: string): CliError =>
  new CliError(`${who} cannot look without moving the pod; nothing was moved.`, [
    'Bring it to this version (kubectl migrate install), or see what would be created with --dry-run=client -o yaml.',
  ]);

async function remove(
  client: KubeClient,
  { name, namespace, uid }: PodMigration['metadata'],
  note: (text: string) => void,
): Promise<void> {
  try {
    await client.podMigrations.delete(name, namespace, uid ? { uid } : {});
  } catch (error) {
    if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return;
    const why = error instanceof Error ? error.message : String(error);
    note(`the preflight ${name} could not be removed (${why}); it changes nothing.`);
  }
}
