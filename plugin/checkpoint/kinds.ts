/** The two kinds of checkpoints as one: of a pod, and of one of its containers. */
import { API_VERSION, GROUP } from '../../common/api/names.js';
import type { ContainerCheckpoint, PodCheckpoint } from '../../common/api/schema.js';
import type { KubeClient, ResourceClient } from '../../common/kube/client.js';

export type Checkpoint = PodCheckpoint | ContainerCheckpoint;
export type CheckpointKind = Checkpoint['kind'];

/** The verbs on a kind. Both kinds have the fields that are read here. */
export function resourceOf(client: KubeClient, kind: CheckpointKind): ResourceClient<Checkpoint> {
  const resource = kind === 'PodCheckpoint' ? client.podCheckpoints : client.containerCheckpoints;
  return resource as unknown as ResourceClient<Checkpoint>;
}

/** As kubectl prints it in front of a name: `podcheckpoint.lpm.my.domain`. */
export function resourceName(kind: CheckpointKind): string {
  return `${kind.toLowerCase()}.${GROUP}`;
}

/** Lists come without the type of their items. */
export function typed<T extends Checkpoint>(kind: T['kind'], item: T): T {
  return { ...item, apiVersion: API_VERSION, kind };
}

/** A ContainerCheckpoint that was made for a PodCheckpoint, or a checkpoint that was made for a migration. */
export function ownerOf({ metadata }: Checkpoint): { kind: string; name: string } | undefined {
  return metadata.ownerReferences?.find(({ apiVersion }) => apiVersion === API_VERSION);
}
