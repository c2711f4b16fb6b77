/** Changes the status of an object that may be changed by others at the same time. */
import { isDeepStrictEqual } from 'node:util';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient, ResourceClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';
import { clientOf, kindOf, type Checkpoint, type CheckpointStatus } from './kinds.js';

const ATTEMPTS = 8;

/**
 * Reads, changes and writes, again after a conflict. Returns the object as it is then; undefined when it is gone or another
 * of the same name (uid) stands there.
 */
export async function updateStatus<T extends KubeObject & { status?: object }>(
  client: ResourceClient<T>,
  reference: { name: string; namespace?: string; uid?: string },
  change: (status: NonNullable<T['status']>, object: T) => NonNullable<T['status']>,
): Promise<T | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    const object = await client.find(reference.name, reference.namespace);
    if (!object || (reference.uid && object.metadata.uid !== reference.uid)) return undefined;
    const status = change((object.status ?? {}) as NonNullable<T['status']>, object);
    if (isDeepStrictEqual(status, object.status ?? {})) return object;
    try {
      return await client.replaceStatus({ ...object, status });
    } catch (error) {
      if (error instanceof ApiError && error.isNotFound) return undefined;
      if (!(error instanceof ApiError) || !error.isConflict || attempt === ATTEMPTS) throw error;
    }
  }
}

/** The same for a checkpoint of either kind. */
export function updateCheckpoint(
  client: KubeClient,
  checkpoint: Checkpoint,
  change: (status: CheckpointStatus, object: Checkpoint) => CheckpointStatus,
): Promise<Checkpoint | undefined> {
  const { name, namespace, uid } = checkpoint.metadata;
  return updateStatus<Checkpoint>(
    clientOf(client, kindOf(checkpoint)),
    { name, namespace: namespace!, uid: uid! },
    change as (status: NonNullable<Checkpoint['status']>, object: Checkpoint) => CheckpointStatus,
  );
}
