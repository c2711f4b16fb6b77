/** Serves what CustomResourceDefinitions define, from the moment they are stored until they go. */
import { inBackground } from './background.js';
import { systemContext, type Api } from '../api.js';
import type { KubeObject } from '../kube-object.js';
import { customResources } from '../resources/custom.js';
import type { Resource } from '../resources/resource.js';
import { crdFinalizer } from '../strategy/crd.js';
import { deleteObject } from '../verbs/delete.js';
import { dropFinalizer } from './finalizers.js';

const crds = 'apiextensions.k8s.io/customresourcedefinitions';

export function serveCustomResources(api: Api): () => void {
  const served = new Map<string, Resource[]>();
  const refresh = (crd: KubeObject | undefined, name: string) => {
    for (const resource of served.get(name) ?? []) api.registry.unregister(resource);
    served.delete(name);
    if (!crd) return;
    const resources = customResources(crd);
    for (const resource of resources) {
      api.registry.register(resource);
      api.store.open(resource.storage);
    }
    served.set(name, resources);
  };
  for (const crd of api.store.list(crds)) refresh(crd, crd.metadata.name);
  return api.store.subscribe(undefined, ({ type, resource, object, previous }) => {
    const { name, deletionTimestamp } = object.metadata;
    if (resource === crds) {
      if (type === 'DELETED') refresh(undefined, name);
      else if (type === 'ADDED' || object.spec !== previous?.spec) refresh(object, name);
      if (type === 'MODIFIED' && deletionTimestamp)
        inBackground('custom resources', () => cleanUp(api, name));
    } else if (type === 'DELETED') {
      const definition = definitionOf(api, resource);
      if (definition?.metadata.deletionTimestamp)
        inBackground('custom resources', () => cleanUp(api, definition.metadata.name));
    }
  });
}

/** The definition behind a storage (`group/plural`), if it is one of custom resources. */
function definitionOf(api: Api, storage: string): KubeObject | undefined {
  const [group, plural] = storage.split('/');
  return api.store.get(crds, undefined, `${plural}.${group}`);
}

/** Deletes the objects of a definition that is being deleted, then lets the definition go. */
function cleanUp(api: Api, name: string): void {
  const definition = api.store.get(crds, undefined, name);
  if (!definition?.metadata.deletionTimestamp || !definition.metadata.finalizers?.includes(crdFinalizer))
    return;
  const [plural, ...group] = name.split('.');
  const storage = `${group.join('.')}/${plural}`;
  const resource = api.registry.storedAs(storage);
  if (resource) {
    for (const object of [...api.store.list(storage)]) {
      if (object.metadata.deletionTimestamp) continue;
      const { namespace, name: objectName } = object.metadata;
      deleteObject(api, resource, namespace, objectName, {}, systemContext('customresourcecleanup'));
    }
  }
  if (api.store.count(storage) > 0) return;
  const current = api.store.get(crds, undefined, name);
  if (current) dropFinalizer(api, crds, current, crdFinalizer);
}
