/** Creates the pod of an imported checkpoint when the controller waits for it: with this person's rights, and no others. */
import type { PodMigration } from '../../../common/api/schema.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import { CliError } from '../../cli-error.js';
import { follow } from '../../follow.js';
import type { ImportedPod } from './imported-pod.js';

/** Refusals come within seconds; a controller that is away may take longer. */
const ACCEPTED_WITHIN_MS = 60_000;

/**
 * Waits until the restore is accepted, so that nothing is created for one that is refused, then creates the pod. When that does
 * not come about, the restore is deleted: nobody would make its pod later.
 *
 * @returns false when the restore has ended before, or the person has left
 */
export async function makePod(
  client: KubeClient,
  migration: PodMigration,
  imported: ImportedPod,
  detach: AbortSignal,
): Promise<boolean> {
  const { name, namespace = 'default', uid } = migration.metadata;
  const withdraw = () => client.podMigrations.delete(name, namespace, uid ? { uid } : {}).catch(() => {});
  const late = AbortSignal.timeout(ACCEPTED_WITHIN_MS);
  let accepted = false;
  for await (const sighting of follow(
    client.podMigrations,
    name,
    namespace,
    AbortSignal.any([detach, late]),
  )) {
    if (sighting.type === 'gone') return false;
    if (sighting.type !== 'state') continue;
    const { phase, conditions = [] } = sighting.object.status ?? {};
    if (phase === 'Succeeded' || phase === 'Failed') return false;
    accepted = conditions.some(({ type, reason }) => type === 'TargetPrepared' && reason === 'WaitingForPod');
    if (accepted) break;
  }
  if (!accepted) {
    await withdraw();
    if (detach.aborted) return false;
    throw new CliError(
      `The controller has not taken up the restore ${name} within a minute; it was withdrawn.`,
      ['Is it running? kubectl get pods -n live-pod-migration-controller-system'],
    );
  }
  try {
    await client.pods.create(imported.targetOf(migration), namespace);
    return true;
  } catch (error) {
    await withdraw();
    if (!(error instanceof ApiError)) throw error;
    throw new CliError(
      `The pod ${imported.name} of the imported checkpoint cannot be created: ${error.message.split('\n')[0]}`,
      ['An imported checkpoint is restored into a pod that you create yourself, with your own rights.'],
    );
  }
}
