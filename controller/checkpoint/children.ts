/** The ContainerCheckpoints of a PodCheckpoint: one for each container, made or found. */
import type { ContainerCheckpoint, PodCheckpoint } from '../../common/api/schema.js';
import { LpmError } from '../../common/errors.js';
import type { KubeClient } from '../../common/kube/client.js';
import { createOrFind } from './api-verbs.js';
import { isOwnedBy } from './kinds.js';
import { childName } from './names.js';
import { ownedBy } from './objects.js';

/** Throws LpmError (NameTaken) when one of the names belongs to something else. */
export async function createChildren(
  client: KubeClient,
  podCheckpoint: PodCheckpoint,
  containers: readonly string[],
): Promise<ContainerCheckpoint[]> {
  const { name, namespace, uid } = podCheckpoint.metadata;
  const { import: _, podName, ...kept } = podCheckpoint.spec;
  // Whether a child is still wanted when its time is over is its parent's business.
  const { ttlSecondsAfterFinished: __, ...how } = kept;
  const children: ContainerCheckpoint[] = [];
  for (const containerName of containers) {
    const child = await createOrFind(client.containerCheckpoints, {
      metadata: {
        name: childName(name, containerName),
        namespace: namespace!,
        ownerReferences: [ownedBy('PodCheckpoint', podCheckpoint.metadata)],
      },
      spec: { podName, containerName, ...how },
    });
    if (
      !isOwnedBy(child, uid!) ||
      child.spec.podName !== podName ||
      child.spec.containerName !== containerName
    ) {
      throw new LpmError(
        'NameTaken',
        `There is a ContainerCheckpoint ${child.metadata.name} already, which does not belong to PodCheckpoint ${name}.`,
        { hint: 'Give the PodCheckpoint another name, or delete that ContainerCheckpoint.' },
      );
    }
    children.push(child);
  }
  return children;
}

/** Those that exist, in the order of the pod's containers as the parent's status has them. */
export async function findChildren(
  client: KubeClient,
  podCheckpoint: PodCheckpoint,
): Promise<ContainerCheckpoint[]> {
  const { namespace, uid } = podCheckpoint.metadata;
  const { items } = await client.containerCheckpoints.list({ namespace: namespace! });
  const order = podCheckpoint.status?.containerCheckpoints ?? [];
  return items
    .filter((child) => isOwnedBy(child, uid!) && order.includes(child.metadata.name))
    .sort((a, b) => order.indexOf(a.metadata.name) - order.indexOf(b.metadata.name));
}
