/**
 * The state of the cluster: objects by resource and key, one growing resource version, a bounded history for
 * watches. Objects are immutable once stored; every write replaces one and tells the subscribers synchronously.
 */
import { jsonOf, type KubeObject } from '../kube-object.js';
import { SortedKeys } from './sorted-keys.js';

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

export interface Change {
  type: ChangeType;
  /** `group/plural` of the resource. */
  resource: string;
  version: number;
  object: KubeObject;
  /** What stood there before; absent for ADDED. */
  previous?: KubeObject;
}

export type Subscriber = (change: Change) => void;

/** What is kept in a file. */
export interface Dump {
  version: number;
  objects: Record<string, KubeObject[]>;
}

interface Bucket {
  items: Map<string, KubeObject>;
  keys: SortedKeys;
  history: Change[];
  /** Changes up to this version are forgotten. */
  forgottenUpTo: number;
  subscribers: Set<Subscriber>;
}

/** How many changes of a resource are kept for watches that come late. */
const historyLength = 4096;

export function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

export class Store {
  #version = 1;
  #buckets = new Map<string, Bucket>();
  #subscribers = new Set<Subscriber>();
  /** Nothing before this version can be told: the history does not survive a restart. */
  #floor = 0;

  /** The version of the last write. */
  get version(): number {
    return this.#version;
  }

  resources(): string[] {
    return [...this.#buckets.keys()];
  }

  get(resource: string, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#buckets.get(resource)?.items.get(keyOf(namespace, name));
  }

  count(resource: string): number {
    return this.#buckets.get(resource)?.items.size ?? 0;
  }

  /** All objects of a resource, or those of one namespace, in the order of their keys, those after `after` only. */
  *list(resource: string, namespace?: string, after?: string): Generator<KubeObject> {
    const bucket = this.#buckets.get(resource);
    if (!bucket) return;
    const prefix = namespace === undefined ? '' : `${namespace}/`;
    for (const key of bucket.keys.from(prefix, after)) {
      if (!key.startsWith(prefix)) return;
      yield bucket.items.get(key)!;
    }
  }

  /** Stores a new or changed object under the next resource version and returns it as it is stored. */
  put(resource: string, object: KubeObject): KubeObject {
    const bucket = this.#bucket(resource);
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const previous = bucket.items.get(key);
    const version = ++this.#version;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    bucket.items.set(key, stored);
    if (!previous) bucket.keys.add(key);
    this.#publish(bucket, {
      type: previous ? 'MODIFIED' : 'ADDED',
      resource,
      version,
      object: stored,
      ...(previous ? { previous } : {}),
    });
    return stored;
  }

  /** Removes an object. What watchers get to see last carries the version of the removal. */
  remove(resource: string, namespace: string | undefined, name: string): KubeObject | undefined {
    const bucket = this.#bucket(resource);
    const key = keyOf(namespace, name);
    const previous = bucket.items.get(key);
    if (!previous) return undefined;
    const version = ++this.#version;
    const last = { ...previous, metadata: { ...previous.metadata, resourceVersion: String(version) } };
    bucket.items.delete(key);
    bucket.keys.delete(key);
    this.#publish(bucket, { type: 'DELETED', resource, version, object: last, previous });
    return last;
  }

  /** The changes after a version, or undefined when some of them are already forgotten. */
  since(resource: string, version: number): Change[] | undefined {
    const bucket = this.#bucket(resource);
    if (version < bucket.forgottenUpTo) return undefined;
    const { history } = bucket;
    let low = 0;
    let high = history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (history[middle]!.version <= version) low = middle + 1;
      else high = middle;
    }
    return history.slice(low);
  }

  /** Whether everything that happened after a version can still be told. */
  remembers(resource: string, version: number): boolean {
    return version >= this.#bucket(resource).forgottenUpTo;
  }

  /** Begins the history of a resource that is served from now on: nothing before this can be told. */
  open(resource: string): void {
    if (!this.#buckets.has(resource)) this.#bucket(resource).forgottenUpTo = this.#version;
  }

  /** Calls back on every change of one resource, or of all. Returns the way to end it. */
  subscribe(resource: string | undefined, subscriber: Subscriber): () => void {
    const set = resource === undefined ? this.#subscribers : this.#bucket(resource).subscribers;
    set.add(subscriber);
    return () => set.delete(subscriber);
  }

  /** Everything that is stored, as JSON for a file. Made of the kept JSON of the objects: most have not changed. */
  dump(): string {
    const resources = [...this.#buckets.keys()].map(
      (resource) => `${JSON.stringify(resource)}:[${[...this.list(resource)].map(jsonOf).join(',')}]`,
    );
    return `{"version":${this.#version},"objects":{${resources.join(',')}}}`;
  }

  /** Fills an empty store. Watches that started before have to list again (410 Gone). */
  load(state: Dump): void {
    this.#version = state.version;
    this.#floor = state.version;
    for (const [resource, objects] of Object.entries(state.objects)) {
      const bucket = this.#bucket(resource);
      for (const object of objects) {
        const key = keyOf(object.metadata.namespace, object.metadata.name);
        bucket.items.set(key, object);
        bucket.keys.add(key);
      }
    }
    for (const bucket of this.#buckets.values()) bucket.forgottenUpTo = state.version;
  }

  #publish(bucket: Bucket, change: Change): void {
    bucket.history.push(change);
    if (bucket.history.length > historyLength * 2) {
      const dropped = bucket.history.splice(0, historyLength);
      bucket.forgottenUpTo = dropped[dropped.length - 1]!.version;
    }
    for (const subscriber of bucket.subscribers) subscriber(change);
    for (const subscriber of this.#subscribers) subscriber(change);
  }

  #bucket(resource: string): Bucket {
    let bucket = this.#buckets.get(resource);
    if (!bucket) {
      bucket = {
        items: new Map(),
        keys: new SortedKeys(),
        history: [],
        forgottenUpTo: this.#floor,
        subscribers: new Set(),
      };
      this.#buckets.set(resource, bucket);
    }
    return bucket;
  }
}
