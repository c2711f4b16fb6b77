/** Our own objects: the controller rolls back what is under way, and removes archives, while it still works. */
import { FINALIZER } from '../../common/api/names.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient, ResourceClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';
import type { Inventory } from './inventory.js';
import { untilGone, type Patience } from './until-gone.js';

type Say = (text: string) => void;

export async function deleteMigrations(
  client: KubeClient,
  { migrations, controllerWorks }: Inventory,
  patience: Patience,
  say: Say,
): Promise<void> {
  for (const { metadata } of migrations) {
    await remove(client.podMigrations, metadata);
    // Nobody is there who would take its finalizer away after a rollback.
    if (!controllerWorks && metadata.finalizers?.includes(FINALIZER)) {
      await unbind(client.podMigrations, metadata);
    }
  }
  await untilGone('Migrations', patience, () => names(client.podMigrations), [
    'Look at them with: kubectl migrate list -A',
    'A migration that is stuck waits for a decision: kubectl migrate doctor',
  ]);
  if (migrations.length > 0) say(`podmigrations deleted: ${migrations.length}`);
}

/** Checkpoints first: with them the controller removes archives and contents that are not to be kept. */
export async function deleteCheckpoints(
  client: KubeClient,
  found: Inventory,
  patience: Patience,
  say: Say,
): Promise<void> {
  const { podCheckpoints, containerCheckpoints } = found;
  for (const { metadata } of podCheckpoints) await remove(client.podCheckpoints, metadata);
  for (const { metadata } of containerCheckpoints) await remove(client.containerCheckpoints, metadata);
  await untilGone('Checkpoints', patience, async () => [
    ...(await names(client.podCheckpoints)),
    ...(await names(client.containerCheckpoints)),
  ]);
  if (found.controllerWorks) {
    await untilGone(
      'Archives of checkpoints',
      patience,
      async () => [
        ...(await deletable(client.podCheckpointContents)),
        ...(await deletable(client.containerCheckpointContents)),
      ],
      [
        'What the controller waits for: kubectl logs -n live-pod-migration-controller-system deployment/lpm-controller-manager',
      ],
    );
  }
  const contents = [
    ...(await all(client.podCheckpointContents)).map(({ metadata }) =>
      remove(client.podCheckpointContents, metadata),
    ),
    ...(await all(client.containerCheckpointContents)).map(({ metadata }) =>
      remove(client.containerCheckpointContents, metadata),
    ),
  ];
  await Promise.all(contents);
  if (podCheckpoints.length > 0) say(`podcheckpoints deleted: ${podCheckpoints.length}`);
  if (containerCheckpoints.length > 0) say(`containercheckpoints deleted: ${containerCheckpoints.length}`);
}

async function remove<T extends KubeObject>(
  resource: ResourceClient<T>,
  { name, namespace, uid }: KubeObject['metadata'],
): Promise<void> {
  try {
    await resource.delete(name, namespace, uid === undefined ? {} : { uid });
  } catch (error) {
    if (!(error instanceof ApiError) || (!error.isNotFound && !error.isConflict)) throw error;
  }
}

async function unbind<T extends KubeObject>(
  resource: ResourceClient<T>,
  { name, namespace, finalizers = [] }: KubeObject['metadata'],
): Promise<void> {
  try {
    const others = finalizers.filter((one) => one !== FINALIZER);
    await resource.patch(name, namespace, { metadata: { finalizers: others } });
  } catch (error) {
    if (!(error instanceof ApiError) || !error.isNotFound) throw error;
  }
}

/** Of a kind that the cluster does not know there is nothing. */
async function all<T extends KubeObject>(resource: ResourceClient<T>): Promise<T[]> {
  try {
    return (await resource.list()).items;
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return [];
    throw error;
  }
}

const nameOf = ({ metadata: { namespace, name } }: KubeObject): string =>
  namespace ? `${namespace}/${name}` : name;

const names = async <T extends KubeObject>(resource: ResourceClient<T>): Promise<string[]> =>
  (await all(resource)).map(nameOf);

async function deletable<T extends KubeObject & { spec: { deletionPolicy?: string } }>(
  resource: ResourceClient<T>,
): Promise<string[]> {
  return (await all(resource)).filter(({ spec }) => spec.deletionPolicy !== 'Retain').map(nameOf);
}
