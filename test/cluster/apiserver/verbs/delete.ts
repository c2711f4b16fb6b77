import type { Api } from '../api.js';
import { isFields, type Fields, type KubeObject } from '../kube-object.js';
import type { RequestContext, Resource } from '../resources/resource.js';
import { badRequest, conflict } from '../status-error.js';
import { timestamp } from '../time.js';
import { mustGet } from './update.js';

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  preconditions?: { uid?: string; resourceVersion?: string };
  /** kubectl says it here, other clients in the query (RequestContext). */
  dryRun?: boolean;
}

/** From the body of a DELETE, the query standing in for what it leaves out. */
export function deleteOptions(body: unknown, query: URLSearchParams): DeleteOptions {
  const given: Fields = isFields(body) ? body : {};
  const options: DeleteOptions = {};
  const grace = given['gracePeriodSeconds'] ?? query.get('gracePeriodSeconds') ?? undefined;
  if (grace !== undefined) {
    options.gracePeriodSeconds = Number(grace);
    if (!Number.isInteger(options.gracePeriodSeconds))
      throw badRequest('gracePeriodSeconds must be an integer');
  }
  const policy = given['propagationPolicy'] ?? query.get('propagationPolicy') ?? undefined;
  const orphan = given['orphanDependents'] ?? query.get('orphanDependents') ?? undefined;
  if (policy !== undefined) {
    if (policy !== 'Orphan' && policy !== 'Background' && policy !== 'Foreground') {
      throw badRequest(`invalid propagation policy: ${JSON.stringify(policy)}`);
    }
    options.propagationPolicy = policy;
  } else if (orphan !== undefined) {
    options.propagationPolicy = String(orphan) === 'true' ? 'Orphan' : 'Background';
  }
  if (isFields(given['preconditions'])) {
    options.preconditions = given['preconditions'] as NonNullable<DeleteOptions['preconditions']>;
  }
  if (Array.isArray(given['dryRun']) && given['dryRun'].includes('All')) options.dryRun = true;
  return options;
}

const propagationFinalizers = {
  Orphan: 'orphan',
  Foreground: 'foregroundDeletion',
} as const;

export interface Deletion {
  /** The object as it was last stored. */
  object: KubeObject;
  /** False when it waits for its grace period or a finalizer. */
  isGone: boolean;
}

/** Deletes an object as far as it can be deleted at once (apiserver/pkg/registry/rest, BeforeDelete). */
export function deleteObject(
  api: Api,
  resource: Resource,
  namespace: string | undefined,
  name: string,
  options: DeleteOptions,
  context: RequestContext,
): Deletion {
  const old = mustGet(api, resource, namespace, name);
  const { metadata } = old;
  const { uid, resourceVersion } = options.preconditions ?? {};
  if (uid !== undefined && uid !== metadata.uid) {
    throw conflict(
      resource,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    throw conflict(
      resource,
      name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`,
    );
  }
  const dryRun = context.dryRun || options.dryRun === true;
  if (!dryRun) resource.strategy.beforeDelete?.(old, api);
  let grace = resource.strategy.deletionGrace?.(old, options.gracePeriodSeconds) ?? 0;
  const finalizers = finalizersFor(metadata.finalizers ?? [], options);
  if (metadata.deletionTimestamp !== undefined) {
    // Deleting again can only shorten the grace that is left.
    const pending = metadata.deletionGracePeriodSeconds ?? 0;
    if (options.gracePeriodSeconds === undefined || grace >= pending) grace = pending;
  }
  const isHeld = resource.strategy.isHeld?.(old) ?? false;
  if (grace === 0 && finalizers.length === 0 && !isHeld) {
    if (dryRun) return { object: old, isGone: true };
    const removed = api.store.remove(resource.storage, namespace, name);
    return { object: removed ? resource.fromStorage(removed) : old, isGone: true };
  }
  const unchanged =
    metadata.deletionTimestamp !== undefined &&
    metadata.deletionGracePeriodSeconds === grace &&
    finalizers.length === (metadata.finalizers?.length ?? 0);
  if (unchanged) return { object: old, isGone: false };
  const startedAt =
    metadata.deletionTimestamp === undefined
      ? Date.now()
      : Date.parse(metadata.deletionTimestamp) - (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
  const next: KubeObject = {
    ...old,
    metadata: {
      ...metadata,
      deletionTimestamp: timestamp(startedAt + grace * 1000),
      deletionGracePeriodSeconds: grace,
      ...(metadata.generation === undefined ? {} : { generation: metadata.generation + 1 }),
      ...(finalizers.length > 0 ? { finalizers } : {}),
    },
  };
  if (metadata.deletionTimestamp === undefined) resource.strategy.beginDeletion?.(next);
  if (dryRun) return { object: next, isGone: false };
  const stored = api.store.put(resource.storage, resource.toStorage(next));
  return { object: resource.fromStorage(stored), isGone: false };
}

function finalizersFor(current: string[], options: DeleteOptions): string[] {
  const { propagationPolicy: policy } = options;
  if (policy === undefined) return current;
  const kept = current.filter((finalizer) => finalizer !== 'orphan' && finalizer !== 'foregroundDeletion');
  return policy === 'Background' ? kept : [...kept, propagationFinalizers[policy]];
}
