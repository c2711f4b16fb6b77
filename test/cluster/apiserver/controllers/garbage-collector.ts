/**
 * Deletes what has lost its owners, and carries out the propagation policies of deletions
 * (kubernetes.io: "Garbage Collection"). Works off its queue in its own turn, after the write that caused it.
 */
import { inBackground } from './background.js';
import { systemContext, type Api } from '../api.js';
import type { KubeObject, OwnerReference } from '../kube-object.js';
import type { Resource } from '../resources/resource.js';
import { StatusError } from '../status-error.js';
import type { Dependent } from '../storage/owner-index.js';
import type { Change } from '../storage/store.js';
import { deleteObject, type DeleteOptions } from '../verbs/delete.js';
import { dropFinalizer } from './finalizers.js';

const foreground = 'foregroundDeletion';
const orphan = 'orphan';
const context = systemContext('generic-garbage-collector');

export function runGarbageCollector(api: Api): () => void {
  const queue: (() => void)[] = [];
  let scheduled: NodeJS.Immediate | undefined;
  const later = (work: () => void) => {
    queue.push(work);
    scheduled ??= inBackground('garbage collector', () => {
      scheduled = undefined;
      for (const work of queue.splice(0)) {
        try {
          work();
        } catch (error) {
          // Somebody else deleted or changed it first; the change brings it here again if need be.
          if (!(error instanceof StatusError)) throw error;
        }
      }
    });
  };

  const onChange = ({ type, resource, object, previous }: Change) => {
    if (type === 'DELETED') {
      if (object.metadata.uid && api.store.owners.dependentsOf(object.metadata.uid).length > 0) {
        later(() => collectDependents(api, object));
      }
      for (const owner of object.metadata.ownerReferences ?? []) {
        later(() => continueForeground(api, owner, object.metadata.namespace));
      }
      return;
    }
    if (object.metadata.deletionTimestamp !== undefined) {
      if (object.metadata.finalizers?.includes(foreground))
        later(() => deleteForeground(api, resource, object));
      if (object.metadata.finalizers?.includes(orphan)) later(() => orphanDependents(api, resource, object));
    }
    const owners = object.metadata.ownerReferences;
    if (owners?.length && owners !== previous?.metadata.ownerReferences) {
      later(() =>
        collectIfOrphaned(api, {
          resource,
          namespace: object.metadata.namespace,
          name: object.metadata.name,
        }),
      );
    }
  };
  const unsubscribe = api.store.subscribe(undefined, onChange);
  return () => {
    unsubscribe();
    clearImmediate(scheduled);
  };
}

/** The owner as it is stored, when it is still the same object. */
function findOwner(
  api: Api,
  owner: OwnerReference,
  namespace: string | undefined,
): { resource: Resource; object: KubeObject } | 'unknown kind' | undefined {
  const resource = api.registry.findKind(owner.apiVersion, owner.kind);
  // Kinds that we do not serve may be anybody's: what they own is left alone.
  if (!resource) return 'unknown kind';
  const object = api.store.get(resource.storage, resource.namespaced ? namespace : undefined, owner.name);
  return object?.metadata.uid === owner.uid ? { resource, object } : undefined;
}

function collectDependents(api: Api, owner: KubeObject): void {
  for (const dependent of api.store.owners.dependentsOf(owner.metadata.uid!))
    collectIfOrphaned(api, dependent);
}

/** Deletes an object none of whose owners exists; drops the references to those that do not, if some do. */
function collectIfOrphaned(api: Api, { resource: storage, namespace, name }: Dependent): void {
  const object = api.store.get(storage, namespace, name);
  const resource = api.registry.storedAs(storage);
  const owners = object?.metadata.ownerReferences;
  if (!object || !resource || !owners?.length || object.metadata.deletionTimestamp) return;
  const alive = owners.filter((owner) => findOwner(api, owner, namespace) !== undefined);
  if (alive.length === owners.length) return;
  if (alive.length > 0) {
    api.store.put(storage, { ...object, metadata: { ...object.metadata, ownerReferences: alive } });
    return;
  }
  const options: DeleteOptions = {
    preconditions: { uid: object.metadata.uid! },
    // A dependent that was to orphan its own or to wait for them goes on doing so.
    ...(object.metadata.finalizers?.includes(orphan) ? {} : { propagationPolicy: 'Background' as const }),
  };
  deleteObject(api, resource, namespace, name, options, context);
}

/** Foreground: first the dependents, then, when none blocks any more, the owner. */
function deleteForeground(api: Api, storage: string, owner: KubeObject): void {
  const { uid, namespace, name } = owner.metadata;
  const current = api.store.get(storage, namespace, name);
  if (current?.metadata.uid !== uid || !current?.metadata.finalizers?.includes(foreground)) return;
  let blocking = 0;
  for (const dependent of api.store.owners.dependentsOf(uid!)) {
    const object = api.store.get(dependent.resource, dependent.namespace, dependent.name);
    const resource = api.registry.storedAs(dependent.resource);
    if (!object || !resource) continue;
    if (!object.metadata.deletionTimestamp) {
      const others = object.metadata.ownerReferences?.filter(
        (reference) => reference.uid !== uid && findOwner(api, reference, dependent.namespace) !== undefined,
      );
      if (others?.length) continue;
      deleteObject(
        api,
        resource,
        dependent.namespace,
        dependent.name,
        { propagationPolicy: 'Foreground', preconditions: { uid: object.metadata.uid! } },
        context,
      );
    }
    const isLeft = api.store.get(dependent.resource, dependent.namespace, dependent.name) !== undefined;
    const reference = object.metadata.ownerReferences?.find((one) => one.uid === uid);
    if (isLeft && reference?.blockOwnerDeletion) blocking++;
  }
  if (blocking === 0) dropFinalizer(api, storage, current, foreground);
}

function continueForeground(api: Api, reference: OwnerReference, namespace: string | undefined): void {
  const owner = findOwner(api, reference, namespace);
  if (owner === undefined || owner === 'unknown kind') return;
  if (owner.object.metadata.finalizers?.includes(foreground) && owner.object.metadata.deletionTimestamp) {
    deleteForeground(api, owner.resource.storage, owner.object);
  }
}

function orphanDependents(api: Api, storage: string, owner: KubeObject): void {
  const { uid, namespace, name } = owner.metadata;
  for (const dependent of api.store.owners.dependentsOf(uid!)) {
    const object = api.store.get(dependent.resource, dependent.namespace, dependent.name);
    if (!object) continue;
    const { ownerReferences, ...metadata } = object.metadata;
    const left = (ownerReferences ?? []).filter((reference) => reference.uid !== uid);
    api.store.put(dependent.resource, {
      ...object,
      metadata: { ...metadata, ...(left.length > 0 ? { ownerReferences: left } : {}) },
    });
  }
  const current = api.store.get(storage, namespace, name);
  if (current?.metadata.uid === uid && current) dropFinalizer(api, storage, current, orphan);
}
