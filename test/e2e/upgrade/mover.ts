/** A counter that is moved there and back for as long as it is let, each migration asked for as soon as the last has ended. */
import type { KubeClient } from '../../../common/kube/client.js';
import { counterPod } from '../../faults/counter.js';
import { ended, Repeated } from './repeated.js';

export interface Moved {
  name: string;
  phase: string;
  message: string;
  seconds: number;
  downtimeMs: number | undefined;
}

export class Mover extends Repeated {
  readonly moves: Moved[] = [];
  /** Name and UID of the pod that is it now, and UIDs of all that ever were. */
  pod: { name: string; uid: string; node: string };
  readonly uids = new Set<string>();

  private constructor(
    readonly name: string,
    private readonly kube: KubeClient,
    private readonly namespace: string,
    private readonly nodes: readonly string[],
    pod: Mover['pod'],
    say: (line: string) => void,
  ) {
    super(async () => {
      const moved = await this.move();
      say(
        `${name} to ${this.pod.node}: ${moved.phase} in ${moved.seconds.toFixed(1)} s, ${moved.downtimeMs ?? '?'} ms of downtime`,
      );
    });
    this.pod = pod;
    this.uids.add(pod.uid);
  }

  static async create(
    name: string,
    kube: KubeClient,
    namespace: string,
    nodes: readonly [string, string],
    first: 0 | 1,
    say: (line: string) => void,
  ): Promise<Mover> {
    const node = nodes[first];
    const { metadata } = await kube.pods.create(counterPod(name, name, node) as never, namespace);
    return new Mover(name, kube, namespace, nodes, { name, uid: metadata.uid!, node }, say);
  }

  async move(): Promise<Moved> {
    const begin = performance.now();
    const name = `${this.name}-${this.moves.length + 1}`;
    const { namespace, kube } = this;
    const targetNode = this.nodes.find((node) => node !== this.pod.node)!;
    const spec = { podName: this.pod.name, targetNode };
    await kube.podMigrations.create({ metadata: { name, namespace }, spec }, namespace);
    const { status } = await ended(`migration ${name}`, () => kube.podMigrations.get(name, namespace));
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
