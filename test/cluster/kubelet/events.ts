import { createHash } from 'node:crypto';
import type { KubeClient } from '../../../common/kube/client.js';
import { namespaceOf, specOf, uidOf, type Pod } from './pod.js';
import { timestamp } from './status.js';

const burst = 25;
const refillMs = 300_000;

/**
 * Events of the node's pods, in the order in which they were recorded. The same event again raises the count of the
 * first one. An event that cannot be written is dropped: nothing may wait for it. So are events of a pod beyond the 25th,
 * but for one every five minutes (client-go's EventSourceObjectSpamFilter): a real cluster is as silent then.
 */
export class EventRecorder {
  readonly #counts = new Map<string, number>();
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly kube: KubeClient,
    private readonly nodeName: string,
  ) {}

  record(
    pod: Pod,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    container?: { name: string },
  ): void {
    if (!this.#allowed(uidOf(pod))) return;
    const now = timestamp(new Date());
    const fieldPath = container && fieldPathOf(pod, container.name);
    const key = createHash('sha256')
      .update([uidOf(pod), reason, message, fieldPath].join('\n'))
      .digest('hex')
      .slice(0, 16);
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    if (this.#counts.size > 10_000) this.#counts.clear();
    const namespace = namespaceOf(pod);
    const name = `${pod.metadata.name}.${key}`;
    const write = async (): Promise<void> => {
      if (count > 1) {
        await this.kube.events.patch(name, namespace, { count, lastTimestamp: now });
        return;
      }
      await this.kube.events.create(
        {
          metadata: { name, namespace },
          involvedObject: {
            apiVersion: 'v1',
            kind: 'Pod',
            namespace,
            name: pod.metadata.name,
            uid: uidOf(pod),
            ...(fieldPath ? { fieldPath } : {}),
          },
          type,
          reason,
          message: message.slice(0, 1024),
          source: { component: 'kubelet', host: this.nodeName },
          reportingComponent: 'kubelet',
          reportingInstance: this.nodeName,
          firstTimestamp: now,
          lastTimestamp: now,
          count: 1,
        },
        namespace,
      );
    };
    this.#last = this.#last.then(write).catch(() => {});
  }

  #allowed(uid: string): boolean {
    const now = Date.now();
    const bucket = this.#buckets.get(uid) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs);
    this.#buckets.set(uid, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > 10_000) this.#buckets.clear();
    return tokens >= 1;
  }

  /** Resolves when everything recorded so far is written or dropped. */
  flushed(): Promise<unknown> {
    return this.#last;
  }
}

function fieldPathOf(pod: Pod, container: string): string {
  const isInit = (specOf(pod).initContainers ?? []).some(({ name }) => name === container);
  return `spec.${isInit ? 'initContainers' : 'containers'}{${container}}`;
}
