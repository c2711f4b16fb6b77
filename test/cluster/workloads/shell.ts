/** What the workload controllers share: copies to read, clients to write, events to tell, and how pods are made. */
import { messageOf } from '../../../common/errors.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient, ResourceClient } from '../../../common/kube/client.js';
import type { KubeObject, Pod } from '../../../common/kube/types.js';
import type { Requeue } from '../../../controller/queue.js';
import type { CacheChange, Caches } from './caches.js';
import { claim, claims, controllerReference } from './claim.js';
import type { Events } from './events.js';
import { Expectations } from './expectations.js';
import { inNamespace, ownerKeys } from './caches.js';
import type { WorkloadClients } from './types.js';

export interface Shell {
  client: KubeClient;
  clients: WorkloadClients;
  caches: Caches;
  events: Events;
  now(): number;
  options: WorkloadOptions;
}

export interface WorkloadOptions {
  /** First wait before a Job replaces a failed pod; doubled each time. Default 10,000 ms, as in kube-controller-manager. */
  jobBackoffMs?: number;
  /** Shortest time between two looks at a Job whose pods change. Default 1,000 ms. */
  jobBatchMs?: number;
}

export interface Controller {
  name: string;
  /** Keys to look at after a change of a copy. */
  keysOf(change: CacheChange): string[];
  sync(key: string): Promise<Requeue | void>;
}

/** Calls per batch double while all goes well, so that a refusal is met once and not a thousand times. */
export async function slowStart(count: number, act: (index: number) => Promise<unknown>): Promise<number> {
  let done = 0;
  for (let size = 1; done < count; size *= 2) {
    const batch = Math.min(size, count - done);
    const results = await Promise.allSettled(Array.from({ length: batch }, (_, i) => act(done + i)));
    const failed = results.find((result) => result.status === 'rejected');
    done += results.filter((result) => result.status === 'fulfilled').length;
    if (failed) throw new SlowStartError(done, failed.reason);
  }
  return done;
}

export class SlowStartError extends Error {
  constructor(
    readonly done: number,
    cause: unknown,
  ) {
    super(messageOf(cause), { cause });
  }
}

/** The pods of one kind of owner: adopted, created and deleted with events, and waited for until the copy shows them. */
export class PodControl {
  readonly expectations: Expectations;

  constructor(
    private readonly shell: Shell,
    private readonly owners: ResourceClient<KubeObject>,
    private readonly component: string,
  ) {
    this.expectations = new Expectations(() => shell.now());
  }

  /** Follows the changes of pods; returns the keys of the owners to look at. */
  keysOf(change: CacheChange, selectorOf: (owner: KubeObject) => unknown, all: () => KubeObject[]): string[] {
    const { kind } = this.owners.info;
    const { object, old } = change;
    const pod = object ?? old!;
    const keys = ownerKeys(kind, change);
    for (const key of keys) {
      if (object && !old) this.expectations.creationSeen(key);
      if (!object || object.metadata.deletionTimestamp)
        this.expectations.deletionSeen(key, pod.metadata.uid!);
    }
    if (keys.length > 0 || !object || object.metadata.ownerReferences?.some((one) => one.controller))
      return keys;
    // Nobody's: whoever selects it may adopt it.
    return all()
      .filter(
        (owner) =>
          owner.metadata.namespace === object.metadata.namespace &&
          claims(owner, selectorOf(owner), [object]).adopt.length > 0,
      )
      .map((owner) => `${owner.metadata.namespace}/${owner.metadata.name}`);
  }

  claim(owner: KubeObject, selector: unknown): Promise<Pod[]> {
    const candidates = inNamespace(this.shell.caches.pods, owner.metadata.namespace);
    return claim(this.owners, this.shell.clients.pods, owner, claims(owner, selector, candidates));
  }

  /** Creates pods, in batches; those that did not come about are no longer waited for. */
  async create(owner: KubeObject, key: string, pods: Pod[]): Promise<void> {
    if (pods.length === 0) return;
    this.expectations.expectCreations(key, pods.length);
    let seenFailures = 0;
    try {
      await slowStart(pods.length, async (i) => {
        try {
          await this.#createOne(owner, pods[i]!);
        } catch (error) {
          seenFailures++;
          this.expectations.creationSeen(key);
          throw error;
        }
      });
    } catch (error) {
      const skipped = pods.length - (error instanceof SlowStartError ? error.done : 0) - seenFailures;
      this.expectations.creationSeen(key, skipped);
      throw error;
    }
  }

  async #createOne(owner: KubeObject, pod: Pod): Promise<void> {
    try {
      const created = await this.shell.clients.pods.create(pod, owner.metadata.namespace);
      this.tell(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`);
    } catch (error) {
      if (!isEndOfNamespace(error)) {
        this.tell(owner, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
      }
      throw error;
    }
  }

  /** Deletes pods, all at once. */
  async delete(owner: KubeObject, key: string, pods: Pod[]): Promise<void> {
    this.expectations.expectDeletions(
      key,
      pods.map((pod) => pod.metadata.uid!),
    );
    await Promise.all(pods.map((pod) => this.#deleteOne(owner, key, pod)));
  }

  async #deleteOne(owner: KubeObject, key: string, pod: Pod): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    try {
      await this.shell.clients.pods.delete(name, namespace, { uid: uid! });
      this.tell(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
    } catch (error) {
      this.expectations.deletionSeen(key, uid!);
      if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return;
      this.tell(owner, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(error)}`);
      throw error;
    }
  }

  tell(owner: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { group, version, kind } = this.owners.info;
    const about = { ...owner, apiVersion: group ? `${group}/${version}` : version, kind };
    this.shell.events.tell(this.component, about, type, reason, message);
  }

  /** A pod from a template, controlled by its owner, named at random. */
  fromTemplate(owner: KubeObject, template: { metadata?: unknown; spec?: unknown }): Pod {
    const { group, version, kind } = this.owners.info;
    const { labels, annotations, finalizers } = (template.metadata ?? {}) as Pod['metadata'];
    const metadata = {
      generateName: `${owner.metadata.name}-`,
      ...(labels ? { labels: { ...labels } } : {}),
      ...(annotations ? { annotations: { ...annotations } } : {}),
      ...(finalizers ? { finalizers: [...finalizers] } : {}),
      ownerReferences: [controllerReference(owner, `${group}/${version}`, kind)],
    };
    return {
      metadata: metadata as unknown as Pod['metadata'],
      spec: structuredClone(template.spec) as Pod['spec'],
    };
  }
}

/** Nothing new can be made in a namespace that ends; that is no failure to tell. */
export function isEndOfNamespace(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    (error.status.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') ?? false)
  );
}
