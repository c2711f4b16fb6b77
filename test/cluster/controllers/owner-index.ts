/** Which objects name an object (by UID) as their owner. Garbage collection would otherwise search everything. */
import type { KubeObject } from '../../../common/kube/types.js';

export class OwnerIndex {
  readonly #dependents = new Map<string, Set<string>>();

  /** UIDs. */
  dependentsOf(uid: string): string[] {
    return [...(this.#dependents.get(uid) ?? [])];
  }

  replace(previous: KubeObject | undefined, next: KubeObject | undefined): void {
    for (const owner of previous?.metadata.ownerReferences ?? []) {
      const set = this.#dependents.get(owner.uid);
      set?.delete(previous!.metadata.uid!);
      if (set?.size === 0) this.#dependents.delete(owner.uid);
    }
    for (const owner of next?.metadata.ownerReferences ?? []) {
      let set = this.#dependents.get(owner.uid);
      if (!set) this.#dependents.set(owner.uid, (set = new Set()));
      set.add(next!.metadata.uid!);
    }
  }
}
