/** Local copies of what the workload controllers look at. They may lag behind what the controllers have just done. */
import type { ResourceClient } from '../../../common/kube/client.js';
import { ListWatch, type ListWatchOptions } from '../../../common/kube/list-watch.js';
import type { KubeObject } from '../../../common/kube/types.js';
import type { WorkloadClients } from './types.js';

/** A copy for each client but that of events, which nobody reads. */
export type CachesOf<Clients> = {
  [Name in Exclude<keyof Clients, 'events'>]: Clients[Name] extends ResourceClient<infer T>
    ? ListWatch<T>
    : never;
};
export type Caches = CachesOf<WorkloadClients>;

/** One change of a copy. `object` is absent after a deletion, `old` before an addition. */
export interface CacheChange {
  kind: string;
  object?: KubeObject;
  old?: KubeObject;
}

/** @param selections what not all objects of a kind are followed of. */
export function makeCaches<Clients extends object>(
  clients: Clients,
  onChange: (change: CacheChange) => void,
  onError: (message: string) => void,
  selections: { [Name in keyof Clients]?: Pick<ListWatchOptions<KubeObject>, 'namespace'> } = {},
): CachesOf<Clients> {
  const caches = Object.entries(clients)
    .filter(([name]) => name !== 'events')
    .map(([name, source]) => {
      const one = source as ResourceClient<KubeObject>;
      const { kind } = one.info;
      const copy = new ListWatch<KubeObject>(one, {
        ...selections[name as keyof Clients],
        onChange: (_key, object, old) =>
          onChange({ kind, ...(object ? { object } : {}), ...(old ? { old } : {}) }),
        onError: (message) => onError(`watching ${name}: ${message}`),
      });
      return [name, copy] as const;
    });
  return Object.fromEntries(caches) as unknown as CachesOf<Clients>;
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
