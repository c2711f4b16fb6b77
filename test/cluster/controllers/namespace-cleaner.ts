/** Empties namespaces that are being deleted, then lets them go (k8s.io/kubernetes/pkg/controller/namespace). */
import { ApiError } from '../../../common/kube/api-error.js';
import type { Namespace } from '../../../common/kube/types.js';
import type { Requeue } from '../../../controller/queue.js';
import { discoverKinds, type Kind } from './discovery.js';
import type { ItemChange } from './inventory.js';
import { MetadataClient } from './metadata-client.js';
import { isTerminating } from './namespaces.js';
import type { ClusterController, ClusterShell } from './shell.js';

/** What is left is normally heard of when it goes. */
const lookAgainMs = 2000;

export function namespaceCleaner({ client, caches }: ClusterShell): ClusterController {
  async function sync(name: string): Promise<Requeue | void> {
    const namespace = await client.namespaces.find(name);
    if (!namespace || !isTerminating(namespace)) return;
    // Asked each time: what was defined a moment ago is in no copy yet.
    const kinds = (await discoverKinds(client)).filter(isCleaned);
    const left = await Promise.all(kinds.map((kind) => empty(kind, name)));
    if (left.includes(true)) return { afterMs: lookAgainMs };
    await finalize(namespace);
  }

  /** Deletes all objects of a kind; true when some are still there afterwards. */
  async function empty(kind: Kind, namespace: string): Promise<boolean> {
    const metadata = new MetadataClient(client, kind);
    const isEmpty = async (): Promise<boolean> =>
      (await metadata.list({ namespace, limit: 1 })).items.length === 0;
    try {
      if (await isEmpty()) return false;
      await metadata.deleteAll(namespace);
      return !(await isEmpty());
    } catch (error) {
      // The definition went first, and all its objects with it.
      if (error instanceof ApiError && error.isNotFound) return false;
      throw error;
    }
  }

  async function finalize(namespace: Namespace): Promise<void> {
    const { name } = namespace.metadata;
    const finalizers = (namespace.spec?.finalizers ?? []).filter((one) => one !== 'kubernetes');
    await client.json('PUT', `/api/v1/namespaces/${name}/finalize`, {
      body: { ...namespace, apiVersion: 'v1', kind: 'Namespace', spec: { finalizers } },
    });
  }

  const whenTerminating = (name: string): string[] => {
    const namespace = caches.namespaces.get(name);
    return namespace && isTerminating(namespace) ? [name] : [];
  };

  return {
    name: 'namespace-controller',
    workers: 10,
    sync,
    keysOf({ kind, object }) {
      return kind === 'Namespace' && object ? whenTerminating(object.metadata.name) : [];
    },
    keysOfItem({ object, old }: ItemChange) {
      const { namespace } = old?.metadata ?? {};
      return !object && namespace ? whenTerminating(namespace) : [];
    },
  };
}

const isCleaned = ({ namespaced, verbs }: Kind): boolean =>
  namespaced && ['list', 'deletecollection'].every((verb) => verbs.includes(verb));
