/** Which resources are served right now: the built-in ones and those of the CustomResourceDefinitions. */
import type { Resource } from './resource.js';

export class Registry {
  #byPath = new Map<string, Resource>();
  #byStorage = new Map<string, Resource>();
  #byKind = new Map<string, Resource>();
  /** Grows with every change, so that what is derived from the registry can be kept until then. */
  revision = 0;

  register(resource: Resource): void {
    this.revision++;
    this.#byPath.set(`${resource.group}/${resource.version}/${resource.plural}`, resource);
    this.#byKind.set(`${resource.group}/${resource.version}/${resource.kind}`, resource);
    const main = this.#byStorage.get(resource.storage);
    if (!main || isSame(main, resource)) this.#byStorage.set(resource.storage, resource);
  }

  unregister(resource: Resource): void {
    this.revision++;
    this.#byPath.delete(`${resource.group}/${resource.version}/${resource.plural}`);
    this.#byKind.delete(`${resource.group}/${resource.version}/${resource.kind}`);
    if (this.#byStorage.get(resource.storage) === resource) this.#byStorage.delete(resource.storage);
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.#byPath.get(`${group}/${version}/${plural}`);
  }

  findKind(apiVersion: string, kind: string): Resource | undefined {
    const key = apiVersion.includes('/') ? apiVersion : `/${apiVersion}`;
    return this.#byKind.get(`${key}/${kind}`);
  }

  /** The resource in whose version the objects of a storage are kept. */
  storedAs(storage: string): Resource | undefined {
    return this.#byStorage.get(storage);
  }

  all(): Resource[] {
    return [...this.#byPath.values()];
  }

  /** Groups with their versions, in the order they were registered; the core group is ''. */
  groups(): Map<string, Map<string, Resource[]>> {
    const groups = new Map<string, Map<string, Resource[]>>();
    for (const resource of this.#byPath.values()) {
      let versions = groups.get(resource.group);
      if (!versions) groups.set(resource.group, (versions = new Map()));
      const list = versions.get(resource.version);
      if (list) list.push(resource);
      else versions.set(resource.version, [resource]);
    }
    return groups;
  }
}

function isSame(a: Resource, b: Resource): boolean {
  return a.group === b.group && a.version === b.version && a.plural === b.plural;
}
