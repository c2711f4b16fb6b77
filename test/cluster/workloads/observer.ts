/** Everything that happens in one namespace, in the order in which the API server wrote it. */
import { setMaxListeners } from 'node:events';
import type { KubeClient, ResourceClient } from '../../../common/kube/client.js';
import type { KubeObject } from '../../../common/kube/types.js';
import { workloadClients } from './types.js';

export interface Change {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  kind: string;
  version: number;
  object: KubeObject;
}

export class Observer {
  readonly #changes: Change[] = [];
  readonly #current = new Map<string, KubeObject>();
  readonly #stop = new AbortController();
  #running: Promise<void>[] = [];
  /** When something last came (milliseconds since the epoch). */
  lastChangeMs = Date.now();

  constructor(
    private readonly client: KubeClient,
    private readonly namespace: string,
  ) {}

  /** Follows all kinds; resolves when all watches stand. The namespace must be new. */
  async start(): Promise<void> {
    // One watch a kind listens to the end.
    setMaxListeners(0, this.#stop.signal);
    const { nodes: _nodes, ...namespaced } = workloadClients(this.client);
    await Promise.all(
      Object.values(namespaced).map(async (source) => {
        const one = source as unknown as ResourceClient<KubeObject>;
        const list = await one.list({ namespace: this.namespace });
        const from = list.metadata.resourceVersion;
        this.#running.push(this.#follow(one, from ?? '0'));
      }),
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  /** All changes so far, oldest first. etcd and the local store count one version for all kinds. */
  changes(): Change[] {
    return [...this.#changes].sort((a, b) => a.version - b.version);
  }

  get<T extends KubeObject>(kind: string, name: string): T | undefined {
    return this.#current.get(`${kind}/${name}`) as T | undefined;
  }

  list<T extends KubeObject>(kind: string): T[] {
    return [...this.#current].filter(([key]) => key.startsWith(`${kind}/`)).map(([, object]) => object as T);
  }

  async #follow(source: ResourceClient<KubeObject>, from: string): Promise<void> {
    const { kind } = source.info;
    const events = source.watch(
      { namespace: this.namespace, resourceVersion: from, timeoutSeconds: 3600 },
      this.#stop.signal,
    );
    for await (const { type, object } of events) {
      if (type === 'BOOKMARK' || type === 'ERROR') continue;
      this.lastChangeMs = Date.now();
      this.#changes.push({ type, kind, version: Number(object.metadata.resourceVersion), object });
      const key = `${kind}/${object.metadata.name}`;
      if (type === 'DELETED') this.#current.delete(key);
      else this.#current.set(key, object);
    }
  }
}
