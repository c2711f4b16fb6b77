/** Gives every namespace what it needs, and empties those that are being deleted. */
import { inBackground } from './background.js';
import { systemContext, type Api } from '../api.js';
import { at, listOf, type Fields, type KubeObject } from '../kube-object.js';
import { createObject } from '../verbs/create.js';
import { deleteObject } from '../verbs/delete.js';
import { setNamespaceFinalizers } from '../subresources/finalize.js';
import { builtinResource } from '../api.js';
import { StatusError } from '../status-error.js';

const namespaces = '/namespaces';

/** The account and the certificate authority that pods of the namespace use. */
function furnish(api: Api, namespace: string): void {
  const put = (storage: string, object: Fields) => {
    const resource = builtinResource(api, storage);
    const name = String(at(object, 'metadata', 'name'));
    if (api.store.get(storage, namespace, name)) return;
    createObject(api, resource, namespace, object, systemContext('kube-controller-manager'));
  };
  put('/serviceaccounts', { metadata: { name: 'default' } });
  put('/configmaps', {
    metadata: {
      name: 'kube-root-ca.crt',
      annotations: {
        'kubernetes.io/description':
          'Contains a CA bundle that can be used to verify the API server of this local test cluster.',
      },
    },
    data: { 'ca.crt': api.caCert },
  });
}

function isTerminating(namespace: KubeObject): boolean {
  return namespace.metadata.deletionTimestamp !== undefined;
}

/** Deletes what is in the namespace; when nothing is left, the namespace itself. */
function empty(api: Api, name: string): void {
  const namespace = api.store.get(namespaces, undefined, name);
  if (!namespace || !isTerminating(namespace)) return;
  if (at(namespace.status, 'phase') !== 'Terminating') {
    api.store.put(namespaces, {
      ...namespace,
      status: { ...(namespace.status as Fields), phase: 'Terminating' },
    });
  }
  let remaining = 0;
  for (const storage of api.store.resources()) {
    const resource = api.registry.storedAs(storage);
    if (!resource?.namespaced) continue;
    for (const object of [...api.store.list(storage, name)]) {
      remaining++;
      if (object.metadata.deletionTimestamp !== undefined) continue;
      try {
        const { isGone } = deleteObject(
          api,
          resource,
          name,
          object.metadata.name,
          {},
          systemContext('namespaces'),
        );
        if (isGone) remaining--;
      } catch (error) {
        if (!(error instanceof StatusError && error.code === 404)) throw error;
      }
    }
  }
  const current = api.store.get(namespaces, undefined, name);
  if (!current || remaining > 0) return;
  const finalizers = listOf(at(current.spec, 'finalizers')).map(String);
  setNamespaceFinalizers(
    api,
    current,
    finalizers.filter((finalizer) => finalizer !== 'kubernetes'),
  );
}

export function runNamespaceController(api: Api): () => void {
  const pending = new Set<string>();
  let scheduled: NodeJS.Immediate | undefined;
  const later = (name: string) => {
    pending.add(name);
    scheduled ??= inBackground('namespaces', () => {
      scheduled = undefined;
      const names = [...pending];
      pending.clear();
      for (const one of names) empty(api, one);
    });
  };
  for (const namespace of api.store.list(namespaces)) {
    if (isTerminating(namespace)) later(namespace.metadata.name);
    else furnish(api, namespace.metadata.name);
  }
  const terminating = (name: string | undefined) => {
    const namespace = name === undefined ? undefined : api.store.get(namespaces, undefined, name);
    return namespace !== undefined && isTerminating(namespace);
  };
  const unsubscribe = api.store.subscribe(undefined, ({ type, resource, object }) => {
    if (resource === namespaces) {
      if (type === 'ADDED') furnish(api, object.metadata.name);
      else if (type === 'MODIFIED' && isTerminating(object)) later(object.metadata.name);
    } else if (type === 'DELETED' && object.metadata.namespace !== undefined) {
      const { namespace } = object.metadata;
      if (terminating(namespace)) later(namespace);
      // A namespace's certificate authority comes back when somebody deletes it, as on a real cluster.
      else if (['kube-root-ca.crt', 'default'].includes(object.metadata.name)) {
        if (api.store.get(namespaces, undefined, namespace))
          inBackground('namespaces', () => refurnish(api, namespace));
      }
    }
  });
  return () => {
    unsubscribe();
    clearImmediate(scheduled);
  };
}

function refurnish(api: Api, namespace: string): void {
  const object = api.store.get(namespaces, undefined, namespace);
  if (object && !isTerminating(object)) furnish(api, namespace);
}
