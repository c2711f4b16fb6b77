/**
 * Events (core/v1) for people who look at an object with kubectl describe. The same event again raises a count instead of
 * making another; an object gets only so many in a while (as client-go's EventCorrelator does).
 */
import type { ResourceClient } from '../common/kube/client.js';
import type { CoreEvent, KubeObject } from '../common/kube/types.js';
import { secondsTime } from './status/conditions.js';

const CONTROLLER = 'lpm.my.domain/controller';
/** The same event within this time is counted. */
const SAME_MS = 10 * 60_000;
/** An object's first events come at once, then one in a while. */
const BURST = 25;
const REFILL_MS = 60_000;
const MEMORY = 1000;
/** Longest message of an event (validation of core/v1). */
const MAX_MESSAGE = 1024;

export interface EventTarget extends KubeObject {
  apiVersion: string;
  kind: string;
}

export class EventRecorder {
  readonly #seen = new Map<string, { name: string; count: number; at: number }>();
  readonly #budget = new Map<string, { left: number; at: number }>();
  #work: Promise<void> = Promise.resolve();

  constructor(
    private readonly client: ResourceClient<CoreEvent>,
    private readonly instance: string,
    private readonly onError: (error: unknown) => void = () => {},
  ) {}

  /** Records an event in the background; never throws. */
  record(target: EventTarget, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const now = Date.now();
    this.#work = this.#work.then(() => this.#send(target, type, reason, message, now)).catch(this.onError);
  }

  /** Resolves when everything recorded so far was sent. */
  async flush(): Promise<void> {
    await this.#work;
  }

  async #send(target: EventTarget, type: string, reason: string, text: string, now: number): Promise<void> {
    const message = text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE - 1)}…` : text;
    const { name, uid = '', resourceVersion } = target.metadata;
    // Events of cluster-scoped objects stand in the namespace "default".
    const namespace = target.metadata.namespace ?? 'default';
    const key = [uid, type, reason, message].join('\n');
    const before = this.#seen.get(key);
    if (before && now - before.at < SAME_MS) {
      before.count += 1;
      before.at = now;
      try {
        await this.client.patch(before.name, namespace, {
          count: before.count,
          lastTimestamp: secondsTime(now),
        });
        return;
      } catch {
        // Events expire: make it again.
        this.#seen.delete(key);
      }
    }
    if (!this.#allowed(uid, now)) return;
    const event: CoreEvent = {
      metadata: { name: `${name.slice(0, 220)}.${now.toString(16)}${this.#unique()}`, namespace },
      involvedObject: {
        apiVersion: target.apiVersion,
        kind: target.kind,
        name,
        uid,
        ...(target.metadata.namespace ? { namespace: target.metadata.namespace } : {}),
        ...(resourceVersion ? { resourceVersion } : {}),
      },
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: secondsTime(now),
      lastTimestamp: secondsTime(now),
      action: reason,
      reportingComponent: CONTROLLER,
      reportingInstance: this.instance,
      source: { component: CONTROLLER },
    };
    await this.client.create(event, namespace);
    if (this.#seen.size >= MEMORY) this.#seen.delete(this.#seen.keys().next().value!);
    this.#seen.set(key, { name: event.metadata.name, count: 1, at: now });
  }

  #allowed(uid: string, now: number): boolean {
    const budget = this.#budget.get(uid) ?? { left: BURST, at: now };
    const left = Math.min(BURST, budget.left + Math.floor((now - budget.at) / REFILL_MS));
    if (left <= 0) return false;
    if (this.#budget.size >= MEMORY) this.#budget.delete(this.#budget.keys().next().value!);
    this.#budget.set(uid, { left: left - 1, at: left === budget.left ? budget.at : now });
    return true;
  }

  #count = 0;
  /** Two events of one object in the same millisecond need two names. */
  #unique(): string {
    this.#count = (this.#count + 1) % 0xfff;
    return this.#count.toString(16).padStart(3, '0');
  }
}
