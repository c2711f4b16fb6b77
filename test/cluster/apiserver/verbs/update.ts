import type { Api } from '../api.js';
import { sameJson, type KubeObject } from '../kube-object.js';
import type { RequestContext, Resource } from '../resources/resource.js';
import { badRequest, conflict, fieldError, invalid, notFound, staleObject } from '../status-error.js';
import { immutable, validateMetadata, validateMetadataUpdate } from '../validation/metadata.js';
import { decodeIncoming } from './incoming.js';

/** What part of an object a write is for. */
export type Part = 'object' | 'status';

/** The object as it is served, or 404. */
export function mustGet(
  api: Api,
  resource: Resource,
  namespace: string | undefined,
  name: string,
): KubeObject {
  const stored = api.store.get(resource.storage, namespace, name);
  if (!stored) throw notFound(resource, name);
  return resource.fromStorage(stored);
}

/** Replaces an object (PUT). `body` is changed in place. */
export function updateObject(
  api: Api,
  resource: Resource,
  namespace: string | undefined,
  name: string,
  part: Part,
  body: unknown,
  context: RequestContext,
): KubeObject {
  const next = decodeIncoming(resource, body, context);
  if (next.metadata.name === '') next.metadata.name = name;
  if (next.metadata.name !== name) {
    throw badRequest(
      `the name of the object (${next.metadata.name}) does not match the name on the URL (${name})`,
    );
  }
  if (resource.namespaced && next.metadata.namespace && next.metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  const old = mustGet(api, resource, namespace, name);
  if (!next.metadata.resourceVersion && resource.strategy.needsVersionOnUpdate) {
    throw invalid(resource, name, [
      fieldError.invalid('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
  }
  const { uid } = next.metadata;
  if (uid && uid !== old.metadata.uid) {
    throw conflict(
      resource,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
  return replaceObject(api, resource, part, next, old, context);
}

/** Stores `next` (fresh, decoded) in the place of `old` as far as the rules of the kind let it. */
export function replaceObject(
  api: Api,
  resource: Resource,
  part: Part,
  next: KubeObject,
  old: KubeObject,
  context: RequestContext,
): KubeObject {
  const { name } = old.metadata;
  checkPreconditions(resource, next, old);
  keepServerFields(next, old);
  const { strategy } = resource;
  if (part === 'status') {
    keepAllButStatus(resource, next, old);
    strategy.prepareForStatusUpdate?.(next, old, api);
  } else {
    if (resource.hasStatus) {
      if (old.status === undefined) delete next.status;
      else next.status = old.status;
    }
    strategy.prepareForUpdate?.(next, old, api);
    if (resource.hasGeneration && specChanged(resource, next, old)) {
      next.metadata.generation = (old.metadata.generation ?? 0) + 1;
    }
  }
  const errors = [...validateMetadata(resource, next), ...validateMetadataUpdate(next, old)];
  if (part === 'status') errors.push(...(strategy.validateStatusUpdate?.(next, old, api) ?? []));
  else errors.push(...(strategy.validateUpdate?.(next, old, api) ?? strategy.validate?.(next, api) ?? []));
  if (errors.length > 0) throw invalid(resource, name, errors);

  next.metadata.resourceVersion = old.metadata.resourceVersion!;
  // Nothing to write means no new version: watchers are not woken, as with etcd.
  if (sameJson(next, old)) return old;
  if (context.dryRun) return next;
  const stored = api.store.put(resource.storage, resource.toStorage(next));
  if (isFinished(stored) && !strategy.isHeld?.(stored)) {
    return resource.fromStorage(
      api.store.remove(resource.storage, stored.metadata.namespace, stored.metadata.name) ?? stored,
    );
  }
  return resource.fromStorage(stored);
}

function checkPreconditions(resource: Resource, next: KubeObject, old: KubeObject): void {
  const { uid, resourceVersion } = next.metadata;
  // Of an object that is replaced as a whole the UID is a precondition (409); in a patch it is a field like others.
  if (uid && uid !== old.metadata.uid) {
    throw invalid(resource, old.metadata.name, immutable(uid, old.metadata.uid, 'metadata.uid'));
  }
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(resource, old.metadata.name, staleObject);
  }
}

function keepServerFields(next: KubeObject, old: KubeObject): void {
  const from = old.metadata;
  const to = next.metadata;
  to.uid = from.uid!;
  to.creationTimestamp = from.creationTimestamp!;
  if (from.namespace !== undefined) to.namespace = from.namespace;
  if (from.generateName !== undefined) to.generateName = from.generateName;
  if (from.generation === undefined) delete to.generation;
  else to.generation = from.generation;
  if (from.deletionTimestamp === undefined) delete to.deletionTimestamp;
  else to.deletionTimestamp = from.deletionTimestamp;
  if (from.deletionGracePeriodSeconds === undefined) delete to.deletionGracePeriodSeconds;
  else to.deletionGracePeriodSeconds = from.deletionGracePeriodSeconds;
  // A client that sends none has not looked at them; an empty list resets them (server-side apply, documentation).
  if (to.managedFields === undefined && from.managedFields !== undefined)
    to.managedFields = from.managedFields;
  if (to.managedFields?.length === 0) delete to.managedFields;
}

function keepAllButStatus(resource: Resource, next: KubeObject, old: KubeObject): void {
  for (const field of Object.keys(next)) {
    if (field !== 'status' && field !== 'metadata' && !(field in old)) delete next[field];
  }
  for (const [field, value] of Object.entries(old)) {
    if (field !== 'status' && field !== 'metadata') next[field] = value;
  }
  const { managedFields, labels, annotations, finalizers } = next.metadata;
  next.metadata = { ...old.metadata };
  if (managedFields) next.metadata.managedFields = managedFields;
  if (!resource.strategy.statusMayChangeMetadata) return;
  for (const [field, value] of Object.entries({ labels, annotations, finalizers })) {
    const metadata = next.metadata as unknown as Record<string, unknown>;
    if (value === undefined) delete metadata[field];
    else metadata[field] = value;
  }
}

/** Custom resources may have more than spec and status: everything but those and metadata counts as spec. */
function specChanged(resource: Resource, next: KubeObject, old: KubeObject): boolean {
  const ignored = new Set(resource.hasStatus ? ['metadata', 'status'] : ['metadata']);
  const fields = new Set([...Object.keys(next), ...Object.keys(old)]);
  for (const field of fields) {
    if (!ignored.has(field) && !sameJson(next[field], old[field])) return true;
  }
  return false;
}

/** An object that is being deleted goes when its last finalizer does and no grace is left. */
function isFinished({ metadata }: KubeObject): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    (metadata.finalizers?.length ?? 0) === 0 &&
    (metadata.deletionGracePeriodSeconds ?? 0) === 0
  );
}
