/** A counter that is moved there and back for as long as it is let, each migration asked for as soon as the last has ended. */
import type { KubeClient } from '../../../common/kube/client.js';
import { counterPod } from '../../faults/counter.js';
import { until } from '../../support/until.js';

const END_MS = 240_000;

export interface Moved {
  name: string;
  phase: string;
  message: string;
  seconds: number;
  downtimeMs: number | undefined;
}

export class Mover {
  readonly moves: Moved[] = [];
  /** Name and UID of the pod that is it now, and UIDs of all that ever were. */
  pod: { name: string; uid: string; node: string };
  readonly uids = new Set<string>();
  #stopped = false;
  #running: Promise<void> | undefined;

  private constructor(
    readonly name: string,
    private readonly kube: KubeClient,
    private readonly namespace: string,
    private readonly nodes: readonly string[],
    pod: Mover['pod'],
  ) {
    this.pod = pod;
    this.uids.add(pod.uid);
  }

  static async create(
    name: string,
    kube: KubeClient,
    namespace: string,
    nodes: readonly [string, string],
    first: 0 | 1,
  ): Promise<Mover> {
    const node = nodes[first];
    const { metadata } = await kube.pods.create(counterPod(name, name, node) as never, namespace);
    return new Mover(name, kube, namespace, nodes, { name, uid: metadata.uid!, node });
  }

  start(say: (line: string) => void): void {
    this.#running = (async () => {
      while (!this.#stopped) {
        const moved = await this.move();
        say(
          `${this.name} to ${this.pod.node}: ${moved.phase} in ${moved.seconds.toFixed(1)} s, ${moved.downtimeMs ?? '?'} ms of downtime`,
        );
      }
    })();
    // Told by stop().
    this.#running.catch(() => {});
  }

  /** Waits for the end of the move that is going on. @throws what has kept it from ending */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async move(): Promise<Moved> {
    const begin = performance.now();
    const name = `${this.name}-${this.moves.length + 1}`;
    const { namespace, kube } = this;
    const targetNode = this.nodes.find((node) => node !== this.pod.node)!;
    const spec = { podName: this.pod.name, targetNode };
    await kube.podMigrations.create({ metadata: { name, namespace }, spec }, namespace);
    const { status } = await until(
      `migration ${name} has ended`,
      async () => {
        const found = await kube.podMigrations.get(name, namespace);
        return /^(Succeeded|Failed)$/.test(found.status?.phase ?? '') && found;
      },
      { timeoutMs: END_MS, everyMs: 200 },
    ).catch(async (error: unknown) => {
      const found = await kube.podMigrations.find(name, namespace);
      throw new Error(`${String(error)}: ${JSON.stringify(found?.status)}`);
    });
    const { phase = '', message = '', restoredPodName, restoredPodUID } = status!;
    if (restoredPodUID) this.uids.add(restoredPodUID);
    if (phase === 'Succeeded') this.pod = { name: restoredPodName!, uid: restoredPodUID!, node: targetNode };
    const moved: Moved = {
      ...{ name, phase, message },
      seconds: (performance.now() - begin) / 1000,
      downtimeMs: status!.downtimeMilliseconds,
    };
    this.moves.push(moved);
    return moved;
  }
}
