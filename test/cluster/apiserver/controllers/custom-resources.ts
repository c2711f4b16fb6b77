/** Serves what CustomResourceDefinitions define, from the moment they are stored until they go. */
import type { Api } from '../api.js';
import type { KubeObject } from '../kube-object.js';
import { customResources } from '../resources/custom.js';
import type { Resource } from '../resources/resource.js';

const crds = 'apiextensions.k8s.io/customresourcedefinitions';

/** The real server's finalizer: a definition goes when its last object is gone. */
export const crdFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

export function serveCustomResources(api: Api): () => void {
  const served = new Map<string, Resource[]>();
  const refresh = (crd: KubeObject | undefined, name: string) => {
    for (const resource of served.get(name) ?? []) api.registry.unregister(resource);
    served.delete(name);
    if (!crd) return;
    const resources = customResources(crd);
    for (const resource of resources) api.registry.register(resource);
    served.set(name, resources);
  };
  for (const crd of api.store.list(crds)) refresh(crd, crd.metadata.name);
  return api.store.subscribe(crds, ({ type, object, previous }) => {
    if (type === 'DELETED') refresh(undefined, object.metadata.name);
    else if (type === 'ADDED' || object.spec !== previous?.spec) refresh(object, object.metadata.name);
  });
}
