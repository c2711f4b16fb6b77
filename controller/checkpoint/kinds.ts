/** The two kinds of checkpoints, where they are treated alike. */
import { API_VERSION } from '../../common/api/names.js';
import type { ContainerCheckpoint, PodCheckpoint } from '../../common/api/schema.js';
import type { KubeClient, ResourceClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';

export type CheckpointKind = 'PodCheckpoint' | 'ContainerCheckpoint';
export type Checkpoint = PodCheckpoint | ContainerCheckpoint;
export type CheckpointStatus = NonNullable<PodCheckpoint['status']> &
  NonNullable<ContainerCheckpoint['status']>;

/** Objects of a list carry no kind of their own. */
export function kindOf(checkpoint: Checkpoint): CheckpointKind {
  return 'containerName' in checkpoint.spec ? 'ContainerCheckpoint' : 'PodCheckpoint';
}

export const isPodCheckpoint = (checkpoint: Checkpoint): checkpoint is PodCheckpoint =>
  kindOf(checkpoint) === 'PodCheckpoint';

export function clientOf(client: KubeClient, kind: CheckpointKind): ResourceClient<Checkpoint> {
  return (kind === 'PodCheckpoint'
    ? client.podCheckpoints
    : client.containerCheckpoints) as unknown as ResourceClient<Checkpoint>;
}

/** True for a checkpoint that a migration or a PodCheckpoint has made for itself and works on. */
export function isMade({ metadata }: KubeObject): boolean {
  return (
    metadata.ownerReferences?.some(
      ({ apiVersion, kind }) =>
        apiVersion === API_VERSION && (kind === 'PodMigration' || kind === 'PodCheckpoint'),
    ) ?? false
  );
}

/** True when the object's owners include the one with this UID. */
export function isOwnedBy(object: KubeObject, uid: string): boolean {
  return object.metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
}

export function isFinished({ status }: { status?: { phase?: string } }): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

/** A user's checkpoint that may freeze its pod at the moment. */
export function freezesNow(checkpoint: Checkpoint): boolean {
  return checkpoint.status?.phase === 'Running' && !checkpoint.spec.import && !isMade(checkpoint);
}
