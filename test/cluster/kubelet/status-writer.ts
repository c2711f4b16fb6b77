import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../common/errors.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import { namespaceOf, uidOf, type Pod, type PodStatus } from './pod.js';
import { ownConditions } from './status.js';

const retryMs = 1000;

/**
 * Writes one pod's status in the background, the latest only and for as long as it takes: nothing that happens on the
 * node waits for the API server.
 */
export class StatusWriter {
  #wanted: { pod: Pod; status: PodStatus; text: string } | undefined;
  #writtenText = '';
  #written: PodStatus | undefined;
  #running: Promise<void> = Promise.resolve();
  #busy = false;
  #stopped = false;

  constructor(
    private readonly kube: KubeClient,
    private readonly log: (message: string) => void,
  ) {}

  write(pod: Pod, status: PodStatus): void {
    const text = JSON.stringify(status);
    if (text === (this.#wanted?.text ?? this.#writtenText)) return;
    this.#wanted = { pod, status, text };
    if (this.#busy) return;
    this.#busy = true;
    this.#running = this.#run();
  }

  /** The pod with the conditions as last written: the watch brings them a moment later, and their times go on. */
  basis(pod: Pod): Pod {
    const latest = this.#wanted?.status ?? this.#written;
    if (!latest) return pod;
    const foreign = (pod.status?.conditions ?? []).filter(({ type }) => !ownConditions.has(type));
    const own = (latest.conditions ?? []).filter(({ type }) => ownConditions.has(type));
    const { startTime } = latest;
    return {
      ...pod,
      status: { ...pod.status, ...(startTime ? { startTime } : {}), conditions: [...own, ...foreign] },
    };
  }

  /** The API server's copy, as heard: what others made of our conditions is put right at the next write. */
  heard(status: PodStatus | undefined): void {
    if (this.#written && !this.#busy && differs(this.#written, status)) this.#writtenText = '';
  }

  /** Resolves when the last status is written, or there is nothing to write it to. */
  flushed(): Promise<void> {
    return this.#running;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    while (this.#wanted && !this.#stopped) {
      const { pod, status, text } = this.#wanted;
      try {
        await this.kube.pods.patch(
          pod.metadata.name,
          namespaceOf(pod),
          // The UID keeps a namesake from getting this pod's status.
          { metadata: { uid: uidOf(pod) }, status },
          { subresource: 'status' },
        );
      } catch (error) {
        if (!(error instanceof ApiError && (error.isNotFound || error.isConflict))) {
          this.log(`status of ${namespaceOf(pod)}/${pod.metadata.name}: ${messageOf(error)}`);
          await delay(retryMs);
          continue;
        }
      }
      this.#written = status;
      this.#writtenText = text;
      if (this.#wanted?.text === text) this.#wanted = undefined;
    }
    this.#busy = false;
  }
}

/** True when a condition that is ours says something else than we wrote: the node controller does that to a silent node. */
export function differs(written: PodStatus, current: PodStatus | undefined): boolean {
  return (written.conditions ?? []).some(({ type, status }) => {
    const other = current?.conditions?.find((condition) => condition.type === type);
    return ownConditions.has(type) && other !== undefined && other.status !== status;
  });
}
