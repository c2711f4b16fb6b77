/**
 * Which objects an owner controls, takes in and lets go: by labels and by who controls them already
 * (k8s.io/kubernetes/pkg/controller/controller_ref_manager.go).
 */
import type { ObjectMeta } from '../../../common/api/schema.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { ResourceClient } from '../../../common/kube/client.js';
import type { KubeObject } from '../../../common/kube/types.js';
import { matchesLabelSelector } from '../apiserver/label-selector.js';
import { controllerOf } from './caches.js';

export interface Claims<T> {
  owned: T[];
  adopt: T[];
  release: T[];
}

export function claims<T extends KubeObject>(
  owner: KubeObject,
  selector: unknown,
  candidates: T[],
): Claims<T> {
  const result: Claims<T> = { owned: [], adopt: [], release: [] };
  const isEnding = owner.metadata.deletionTimestamp !== undefined;
  for (const object of candidates) {
    const controller = controllerOf(object);
    const matches = matchesLabelSelector(selector, object.metadata.labels ?? {});
    if (controller) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (matches) result.owned.push(object);
      else if (!isEnding) result.release.push(object);
    } else if (matches && !isEnding && !object.metadata.deletionTimestamp) {
      result.adopt.push(object);
    }
  }
  return result;
}

type OwnerReference = NonNullable<ObjectMeta['ownerReferences']>[number];

export function controllerReference(owner: KubeObject, apiVersion: string, kind: string): OwnerReference {
  const { name, uid } = owner.metadata;
  return { apiVersion, kind, name, uid: uid!, controller: true, blockOwnerDeletion: true };
}

/** Carries claims out and returns what the owner has afterwards. Objects that are gone meanwhile are left out. */
export async function claim<T extends KubeObject>(
  owners: ResourceClient<KubeObject>,
  dependents: ResourceClient<T>,
  owner: KubeObject,
  { owned, adopt, release }: Claims<T>,
): Promise<T[]> {
  const { group, version, kind } = owners.info;
  const reference = controllerReference(owner, group ? `${group}/${version}` : version, kind);
  const result = [...owned];
  if (adopt.length > 0) {
    // The copy may be old: an owner that ends or is another by now takes nothing in.
    const fresh = await owners.get(owner.metadata.name, owner.metadata.namespace);
    if (fresh.metadata.uid !== owner.metadata.uid || fresh.metadata.deletionTimestamp) return result;
  }
  for (const object of adopt) {
    const adopted = await patchOwners(dependents, object, [reference]);
    if (adopted) result.push(adopted);
  }
  for (const object of release) {
    await patchOwners(dependents, object, [{ $patch: 'delete', uid: owner.metadata.uid }]);
  }
  return result;
}

async function patchOwners<T extends KubeObject>(
  client: ResourceClient<T>,
  { metadata: { name, namespace, uid } }: T,
  ownerReferences: object[],
): Promise<T | undefined> {
  try {
    const patch = { metadata: { uid, ownerReferences } };
    return await client.patch(name, namespace, patch, { type: 'strategic' });
  } catch (error) {
    // Gone, or changed so that it is no longer ours to patch: the change brings it here again.
    if (error instanceof ApiError && (error.isNotFound || error.code === 422)) return undefined;
    throw error;
  }
}
