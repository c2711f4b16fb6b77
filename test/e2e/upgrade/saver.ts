/** Checkpoints of one pod, each asked for as soon as the one before is complete and deleted again. */
import type { KubeClient } from '../../../common/kube/client.js';
import { ended, Repeated } from './repeated.js';

export class Saver extends Repeated {
  saved = 0;
  /** Sentences of those that failed. */
  readonly failed: string[] = [];
  #number = 0;

  constructor(
    private readonly kube: KubeClient,
    private readonly namespace: string,
    private readonly podName: string,
  ) {
    super(() => this.#save(`${podName}-${++this.#number}`));
  }

  async #save(name: string): Promise<void> {
    const { kube, namespace, podName } = this;
    await kube.podCheckpoints.create({ metadata: { name, namespace }, spec: { podName } }, namespace);
    const { status } = await ended(`checkpoint ${name}`, () => kube.podCheckpoints.get(name, namespace));
    if (status?.phase === 'Succeeded') this.saved++;
    else this.failed.push(`${name}: ${status?.message}`);
    await kube.podCheckpoints.delete(name, namespace);
  }
}
