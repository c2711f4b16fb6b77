/** Which objects name an object (by UID) as their owner. Garbage collection would otherwise search everything. */
import type { KubeObject } from '../kube-object.js';

export interface Dependent {
  resource: string;
  namespace: string | undefined;
  name: string;
}

export class OwnerIndex {
  #dependents = new Map<string, Map<string, Dependent>>();

  dependentsOf(uid: string): Dependent[] {
    return [...(this.#dependents.get(uid)?.values() ?? [])];
  }

  replace(resource: string, previous: KubeObject | undefined, next: KubeObject | undefined): void {
    const before = previous?.metadata.ownerReferences;
    const after = next?.metadata.ownerReferences;
    if (before === after) return;
    const { namespace, name } = (next ?? previous)!.metadata;
    const key = `${resource}/${namespace ?? ''}/${name}`;
    for (const owner of before ?? []) {
      const set = this.#dependents.get(owner.uid);
      set?.delete(key);
      if (set?.size === 0) this.#dependents.delete(owner.uid);
    }
    for (const owner of after ?? []) {
      let set = this.#dependents.get(owner.uid);
      if (!set) this.#dependents.set(owner.uid, (set = new Map()));
      set.set(key, { resource, namespace, name });
    }
  }
}
