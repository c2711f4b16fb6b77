import type { Api } from '../api.js';
import { at, type KubeObject } from '../kube-object.js';
import { newUid, randomSuffix } from '../random.js';
import type { RequestContext, Resource } from '../resources/resource.js';
import { alreadyExists, badRequest, forbidden, invalid, notFound } from '../status-error.js';
import { timestamp } from '../time.js';
import { validateMetadata } from '../validation/metadata.js';
import { decodeIncoming } from './incoming.js';

/** Stores a new object and returns it. `body` is changed in place. */
export function createObject(
  api: Api,
  resource: Resource,
  namespace: string | undefined,
  body: unknown,
  context: RequestContext,
): KubeObject {
  const object = decodeIncoming(resource, body, context);
  placeInNamespace(api, resource, namespace, object);
  const { metadata } = object;
  if (metadata.name === '' && metadata.generateName) {
    // The prefix is cut so that the name stays within a label's length (apiserver/pkg/storage/names).
    metadata.name = `${metadata.generateName.slice(0, 58)}${randomSuffix()}`;
  }
  delete metadata.resourceVersion;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  metadata.uid = newUid();
  metadata.creationTimestamp = timestamp();
  if (resource.hasGeneration) metadata.generation = 1;
  else delete metadata.generation;
  if (resource.hasStatus && !resource.strategy.keepsStatusOnCreate) delete object.status;
  resource.strategy.prepareForCreate?.(object, api, context);
  const errors = [
    ...validateMetadata(resource, object),
    ...(resource.strategy.validate?.(object, api) ?? []),
  ];
  if (errors.length > 0) throw invalid(resource, metadata.name, errors);
  const stored = resource.toStorage(object);
  if (api.store.get(resource.storage, stored.metadata.namespace, stored.metadata.name)) {
    throw alreadyExists(resource, metadata.name);
  }
  return resource.fromStorage(context.dryRun ? stored : api.store.put(resource.storage, stored));
}

function placeInNamespace(
  api: Api,
  resource: Resource,
  namespace: string | undefined,
  object: KubeObject,
): void {
  const { metadata } = object;
  if (!resource.namespaced) {
    delete metadata.namespace;
    return;
  }
  if (metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (namespace === undefined) throw badRequest('an empty namespace may not be set during creation');
  metadata.namespace = namespace;
  const home = api.store.get('/namespaces', undefined, namespace);
  if (!home) throw notFound({ group: '', plural: 'namespaces', kind: 'Namespace' }, namespace);
  if (at(home, 'status', 'phase') === 'Terminating') {
    const message = `namespace ${namespace} is being terminated`;
    throw forbidden(
      resource,
      metadata.name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
      [{ reason: 'NamespaceTerminating', message, field: 'metadata.namespace' }],
    );
  }
}
