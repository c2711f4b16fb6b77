import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../common/errors.js';
import { labels } from './labels.js';
import { namespaceOf, podKey, uidOf, type Pod } from './pod.js';
import type { NodeContext } from './node-context.js';
import { PodWorker } from './worker.js';

/** The runtime is asked that often what changed (the kubelet's PLEG relist period). */
const relistMs = 1000;

/** One worker for each pod of the node, by UID: a pod that ends and its namesake have one each. */
export class PodSet {
  readonly #workers = new Map<string, PodWorker>();

  constructor(private readonly node: NodeContext) {}

  update(pod: Pod): void {
    const worker = this.#workers.get(uidOf(pod));
    if (worker) worker.update(pod);
    else this.#start(pod);
  }

  /** The object is gone: what is left of the pod is ended. */
  remove(pod: Pod): void {
    this.#workers.get(uidOf(pod))?.update(pod, true);
  }

  find(key: string): Pod | undefined {
    // The youngest last: a namesake that still ends is not meant.
    return this.list()
      .filter((pod) => podKey(pod) === key)
      .pop();
  }

  list(): Pod[] {
    return [...this.#workers.values()].map((worker) => worker.pod);
  }

  #start(pod: Pod): PodWorker {
    const worker = new PodWorker(pod, this.node);
    this.#workers.set(uidOf(pod), worker);
    void worker.done.then(() => this.#workers.delete(uidOf(pod)));
    return worker;
  }

  /** Ends pods that the runtime holds and the API server no longer knows: they were deleted while nobody looked. */
  async adoptOrphans(): Promise<void> {
    const { items } = await this.node.cri.runtime.listPodSandbox({ filter: undefined });
    for (const sandbox of items) {
      const uid = sandbox.labels[labels.podUid];
      const name = sandbox.labels[labels.podName];
      const namespace = sandbox.labels[labels.podNamespace];
      if (!uid || !name || !namespace || this.#workers.has(uid)) continue;
      const pod: Pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace, uid },
        spec: { containers: [] },
      };
      this.node.log(`${namespaceOf(pod)}/${name} (${uid}) is unknown to the API server: ending it`);
      this.#start(pod).update(pod, true);
    }
  }

  /** Wakes the worker of each pod whose containers or sandboxes changed. */
  followRuntime(signal: AbortSignal): void {
    void this.#follow(signal);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    let before = new Map<string, string>();
    while (!signal.aborted) {
      try {
        const now = await this.#states();
        for (const uid of new Set([...before.keys(), ...now.keys()])) {
          if (before.get(uid) !== now.get(uid)) this.#workers.get(uid)?.wake();
        }
        before = now;
      } catch (error) {
        this.node.log(`asking the runtime: ${messageOf(error)}`);
      }
      await delay(relistMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Pod UID → the states of all that belongs to it. */
  async #states(): Promise<Map<string, string>> {
    const [{ items }, { containers }] = await Promise.all([
      this.node.cri.runtime.listPodSandbox({ filter: undefined }),
      this.node.cri.runtime.listContainers({ filter: undefined }),
    ]);
    const states = new Map<string, string[]>();
    for (const one of [...items, ...containers]) {
      const uid = one.labels[labels.podUid] ?? '';
      states.set(uid, [...(states.get(uid) ?? []), `${one.id} ${one.state}`]);
    }
    return new Map([...states].map(([uid, list]) => [uid, list.sort().join('\n')]));
  }
}
