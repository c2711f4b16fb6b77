/**
 * The metadata of every object of every kind that the API server serves, custom ones too, as the garbage collector of
 * kube-controller-manager keeps it: what kinds there are is looked up again when a definition changes, and every half minute.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../../../common/errors.js';
import type { KubeClient } from '../../../common/kube/client.js';
import { ListWatch } from '../../../common/kube/list-watch.js';
import type { KubeObject } from '../../../common/kube/types.js';
import { discoverKinds, nameOfKind, type Kind } from './discovery.js';
import { MetadataClient } from './metadata-client.js';
import { OwnerIndex } from './owner-index.js';

export interface Item {
  client: MetadataClient;
  object: KubeObject;
}

/** `object` is absent after a deletion, `old` before an addition. */
export interface ItemChange {
  kind: Kind;
  object?: KubeObject;
  old?: KubeObject;
}

const refreshMs = 30_000;
const retryMs = 500;
/** A definition is served a moment after it was stored. */
const settleMs = 200;
/** Events own nothing, belong to nobody, and are many. */
const isWatched = ({ plural, verbs }: Kind): boolean =>
  plural !== 'events' && ['list', 'watch', 'delete'].every((verb) => verbs.includes(verb));

export class Inventory {
  readonly #copies = new Map<string, { client: MetadataClient; copy: ListWatch<KubeObject> }>();
  readonly #items = new Map<string, Item>();
  readonly #owners = new OwnerIndex();
  #kinds: Kind[] = [];
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  #isStopped = false;

  constructor(
    private readonly client: KubeClient,
    private readonly onChange: (change: ItemChange) => void,
    private readonly onError: (message: string) => void,
  ) {}

  /** Begins to follow; resolves when every kind that is served now has its first list. */
  async start(): Promise<void> {
    for (;;) {
      await this.refresh();
      if (this.#kinds.length > 0 || this.#isStopped) break;
      await pause(retryMs);
    }
    await Promise.all([...this.#copies.values()].map(({ copy }) => copy.synced()));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#refreshing;
    await Promise.all([...this.#copies.values()].map(({ copy }) => copy.stop()));
  }

  get(uid: string): Item | undefined {
    return this.#items.get(uid);
  }

  dependentsOf(uid: string): Item[] {
    return this.#owners.dependentsOf(uid).flatMap((dependent) => this.#items.get(dependent) ?? []);
  }

  /** A client for the kind that an owner reference names; undefined for one that is not served. */
  clientOf(apiVersion: string, kind: string): MetadataClient | undefined {
    const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
    const found = this.#kinds.find((one) => one.group === group && one.kind === kind);
    return found && new MetadataClient(this.client, found);
  }

  /** Looks up what is served, and follows that. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
      this.#refreshAfter(refreshMs);
    });
    return this.#refreshing;
  }

  #refreshAfter(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.refresh(), ms);
    this.#timer.unref();
  }

  async #refresh(): Promise<void> {
    try {
      this.#kinds = await discoverKinds(this.client);
    } catch (error) {
      if (!this.#isStopped) this.onError(`looking up what is served: ${messageOf(error)}`);
      return;
    }
    const served = new Map(this.#kinds.filter(isWatched).map((kind) => [nameOfKind(kind), kind]));
    for (const [name, { client, copy }] of [...this.#copies]) {
      const now = served.get(name);
      if (now?.version === client.kind.version) continue;
      this.#copies.delete(name);
      await copy.stop();
      for (const object of copy.list()) this.#take(client, undefined, object);
    }
    for (const [name, kind] of served) {
      if (!this.#copies.has(name) && !this.#isStopped) this.#follow(name, kind);
    }
  }

  #follow(name: string, kind: Kind): void {
    const client = new MetadataClient(this.client, kind);
    const copy = new ListWatch<KubeObject>(client, {
      trim: essentials,
      onChange: (_key, object, old) => {
        this.#take(client, object, old);
        if (kind.plural === 'customresourcedefinitions') this.#refreshAfter(settleMs);
      },
      // A kind whose definition was just deleted cannot be followed; the next look-up takes it out.
      onError: (message) => this.onError(`watching ${name}: ${message}`),
    });
    this.#copies.set(name, { client, copy });
    copy.start();
  }

  #take(client: MetadataClient, object: KubeObject | undefined, old: KubeObject | undefined): void {
    this.#owners.replace(old, object);
    if (old) this.#items.delete(old.metadata.uid!);
    if (object) this.#items.set(object.metadata.uid!, { client, object });
    this.onChange({ kind: client.kind, ...(object ? { object } : {}), ...(old ? { old } : {}) });
  }
}

/** What is asked about; the rest of metadata (labels, managedFields) would only fill memory. */
function essentials({ metadata }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, deletionTimestamp, finalizers, ownerReferences } = metadata;
  const known = { name, namespace, uid, resourceVersion, deletionTimestamp, finalizers, ownerReferences };
  return {
    metadata: Object.fromEntries(
      Object.entries(known).filter(([, value]) => value !== undefined),
    ) as unknown as KubeObject['metadata'],
  };
}
