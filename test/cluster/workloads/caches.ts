/** Local copies of what the workload controllers look at. They may lag behind what the controllers have just done. */
import type { ResourceClient } from '../../../common/kube/client.js';
import { ListWatch } from '../../../common/kube/list-watch.js';
import type { KubeObject } from '../../../common/kube/types.js';
import type { WorkloadClients } from './types.js';

type Cached = Omit<WorkloadClients, 'events'>;
export type Caches = {
  [Name in keyof Cached]: Cached[Name] extends ResourceClient<infer T> ? ListWatch<T> : never;
};

/** One change of a copy. `object` is absent after a deletion, `old` before an addition. */
export interface CacheChange {
  kind: string;
  object?: KubeObject;
  old?: KubeObject;
}

export function makeCaches(
  clients: WorkloadClients,
  onChange: (change: CacheChange) => void,
  onError: (message: string) => void,
): Caches {
  const { events: _events, ...cached } = clients;
  const caches = Object.entries(cached).map(([name, source]) => {
    const one = source as unknown as ResourceClient<KubeObject>;
    const { kind } = one.info;
    const copy = new ListWatch<KubeObject>(one, {
      onChange: (_key, object, old) =>
        onChange({ kind, ...(object ? { object } : {}), ...(old ? { old } : {}) }),
      onError: (message) => onError(`watching ${name}: ${message}`),
    });
    return [name, copy] as const;
  });
  return Object.fromEntries(caches) as unknown as Caches;
}

export function allCaches(caches: Caches): ListWatch<KubeObject>[] {
  return Object.values(caches) as unknown as ListWatch<KubeObject>[];
}

export function inNamespace<T extends KubeObject>(cache: ListWatch<T>, namespace: string | undefined): T[] {
  return cache.list().filter((object) => object.metadata.namespace === namespace);
}

/** The objects of a namespace that an owner controls. */
export function controlledBy<T extends KubeObject>(cache: ListWatch<T>, owner: KubeObject): T[] {
  return inNamespace(cache, owner.metadata.namespace).filter(
    (object) => controllerOf(object)?.uid === owner.metadata.uid,
  );
}

export function controllerOf(object: KubeObject): { kind: string; name: string; uid: string } | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller);
}

/** Keys of the owners of one kind that a change is about: the one before and the one after. */
export function ownerKeys(kind: string, { object, old }: CacheChange): string[] {
  const keys = [object, old].flatMap((one) => {
    const owner = one && controllerOf(one);
    return one && owner?.kind === kind ? [`${one.metadata.namespace}/${owner.name}`] : [];
  });
  return [...new Set(keys)];
}
