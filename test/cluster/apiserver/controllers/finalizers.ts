import type { Api } from '../api.js';
import type { KubeObject } from '../kube-object.js';

/** Takes a finalizer off; an object that is being deleted and has no other goes with it. */
export function dropFinalizer(api: Api, storage: string, object: KubeObject, finalizer: string): void {
  const { finalizers = [], ...metadata } = object.metadata;
  const left = finalizers.filter((one) => one !== finalizer);
  const next = { ...object, metadata: { ...metadata, ...(left.length > 0 ? { finalizers: left } : {}) } };
  api.store.put(storage, next);
  const isDone = left.length === 0 && (metadata.deletionGracePeriodSeconds ?? 0) === 0;
  const isHeld = api.registry.storedAs(storage)?.strategy.isHeld?.(next) ?? false;
  if (isDone && metadata.deletionTimestamp && !isHeld) {
    api.store.remove(storage, metadata.namespace, metadata.name);
  }
}
