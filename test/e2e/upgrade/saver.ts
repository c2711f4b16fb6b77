/** Checkpoints of one pod, each asked for as soon as the one before is complete and deleted again. */
import type { KubeClient } from '../../../common/kube/client.js';
import { until } from '../../support/until.js';

const END_MS = 240_000;

export class Saver {
  saved = 0;
  /** Sentences of those that failed. */
  readonly failed: string[] = [];
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(
    private readonly kube: KubeClient,
    private readonly namespace: string,
    private readonly podName: string,
  ) {}

  start(): void {
    this.#running = (async () => {
      for (let number = 1; !this.#stopped; number++) await this.#save(`${this.podName}-${number}`);
    })();
    // Told by stop().
    this.#running.catch(() => {});
  }

  /** Waits for the end of the one that is being taken. @throws what has kept it from ending */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #save(name: string): Promise<void> {
    const { kube, namespace, podName } = this;
    await kube.podCheckpoints.create({ metadata: { name, namespace }, spec: { podName } }, namespace);
    const { status } = await until(
      `checkpoint ${name} has ended`,
      async () => {
        const found = await kube.podCheckpoints.get(name, namespace);
        return /^(Succeeded|Failed)$/.test(found.status?.phase ?? '') && found;
      },
      { timeoutMs: END_MS, everyMs: 200 },
    );
    if (status?.phase === 'Succeeded') this.saved++;
    else this.failed.push(`${name}: ${status?.message}`);
    await kube.podCheckpoints.delete(name, namespace);
  }
}
