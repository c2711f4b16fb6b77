/** Verbs that do the same when they are called again. */
import { ApiError } from '../../common/kube/api-error.js';
import type { ResourceClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';

export async function createOrFind<T extends KubeObject>(
  client: ResourceClient<T>,
  object: Omit<T, 'apiVersion' | 'kind'>,
): Promise<T> {
  const { name, namespace } = object.metadata;
  try {
    return await client.create(object as Partial<T>, namespace);
  } catch (error) {
    if (error instanceof ApiError && error.isAlreadyExists) return client.get(name, namespace);
    throw error;
  }
}

/** With a UID only that very object; that it is gone, or that another has its name now, is as good. */
export async function remove<T extends KubeObject>(
  client: ResourceClient<T>,
  name: string,
  namespace?: string,
  uid?: string,
): Promise<void> {
  try {
    await client.delete(name, namespace, uid ? { uid } : {});
  } catch (error) {
    if (!(error instanceof ApiError) || !(error.isNotFound || (uid && error.isConflict))) throw error;
  }
}
