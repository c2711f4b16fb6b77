/** Events of the workload controllers. Nothing waits for them; one that cannot be written is dropped. */
import type { ResourceClient } from '../../../common/kube/client.js';
import type { CoreEvent, KubeObject } from '../../../common/kube/types.js';
import { timestamp } from '../apiserver/time.js';

export class Events {
  readonly #counts = new Map<string, { name: string; count: number }>();
  #last: Promise<unknown> = Promise.resolve();
  #serial = BigInt(Date.now()) * 1_000_000n;

  constructor(private readonly client: ResourceClient<CoreEvent>) {}

  /** Tells an event about an object that has its apiVersion and kind; the same one again raises its count. */
  tell(
    component: string,
    about: KubeObject,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): void {
    const { name, namespace = 'default', uid, resourceVersion } = about.metadata;
    const now = timestamp();
    const key = [uid, type, reason, message].join('\n');
    if (this.#counts.size > 10_000) this.#counts.clear();
    const known = this.#counts.get(key) ?? { name: `${name}.${(this.#serial++).toString(16)}`, count: 0 };
    const count = ++known.count;
    this.#counts.set(key, known);
    const write = async (): Promise<void> => {
      if (count > 1) {
        await this.client.patch(known.name, namespace, { count, lastTimestamp: now });
        return;
      }
      await this.client.create(
        {
          metadata: { name: known.name, namespace },
          involvedObject: {
            apiVersion: about.apiVersion!,
            kind: about.kind!,
            name,
            namespace,
            uid: uid!,
            resourceVersion: resourceVersion!,
          },
          type,
          reason,
          message: message.slice(0, 1024),
          source: { component },
          reportingComponent: component,
          reportingInstance: '',
          firstTimestamp: now,
          lastTimestamp: now,
          count: 1,
        },
        namespace,
      );
    };
    this.#last = this.#last.then(write).catch(() => {});
  }

  /** Resolves when everything told so far is written or dropped. */
  flushed(): Promise<unknown> {
    return this.#last;
  }
}
