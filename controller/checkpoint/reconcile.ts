/**
 * Reconciles PodCheckpoints and ContainerCheckpoints that a user has made. Those with an owner are a migration's or a
 * PodCheckpoint's business.
 */
import { API_VERSION } from '../../common/api/names.js';
import type { ContainerCheckpoint, PodCheckpoint } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import { TcpMode, type CheckpointResult } from '../../proto/gen/lpm/v1/agent.js';
import { inspect, nodeInfo } from '../migration/collect-facts.js';
import { isFinal } from '../migration/decide.js';
import type { Operation } from '../migration/observed.js';
import { containerId } from '../migration/pod-checks.js';
import { podRef } from '../migration/pod-ref.js';
import { OperationSet } from '../operations.js';
import type { Parts } from '../parts.js';
import type { Requeue } from '../queue.js';
import { secondsTime, withPhase } from '../status/conditions.js';
import { decideCheckpoint, type CheckpointFacts, type CheckpointObserved } from './decide.js';
import type { CheckpointOrigin, CheckpointSubject } from './objects.js';
import { updateStatus } from './update-status.js';

export type CheckpointKind = 'PodCheckpoint' | 'ContainerCheckpoint';
type Checkpoint = PodCheckpoint | ContainerCheckpoint;
interface Work extends Record<'checkpoint', Operation<unknown>> {
  checkpoint: Operation<CheckpointResult>;
}

const MAX_TURNS = 10;

export class CheckpointReconciler {
  /** By UID of the checkpoint object. */
  readonly #work = new Map<string, OperationSet<Work>>();

  constructor(
    private readonly parts: Parts,
    private readonly kind: CheckpointKind,
    private readonly enqueue: (key: string) => void,
  ) {}

  async reconcile(key: string): Promise<Requeue> {
    const [namespace = '', name = ''] = key.split('/');
    for (let turn = 0; turn < MAX_TURNS; turn += 1) {
      const object: Checkpoint | undefined = await (this.kind === 'PodCheckpoint'
        ? this.parts.client.podCheckpoints.find(name, namespace)
        : this.parts.client.containerCheckpoints.find(name, namespace));
      if (!object || object.metadata.ownerReferences?.length || object.metadata.deletionTimestamp) return {};
      const requeue = await this.#step(key, object);
      if (requeue) return requeue;
    }
    throw new Error(`${this.kind} ${key} decides for ever.`);
  }

  /** One step; undefined: look at once again. */
  async #step(key: string, object: Checkpoint): Promise<Requeue | undefined> {
    const { parts } = this;
    const uid = object.metadata.uid!;
    const work = this.#operations(uid, key);
    const observed: CheckpointObserved = {
      now: parts.now(),
      phase: object.status?.phase,
      conditions: object.status?.conditions,
      operation: work.all.checkpoint,
    };
    if ((observed.phase ?? 'Pending') === 'Pending') observed.facts = await this.#facts(object);
    const decision = decideCheckpoint(observed);
    const subject = this.#subject(object);
    switch (decision.do) {
      case 'nothing':
        if (observed.phase === 'Succeeded' || observed.phase === 'Failed') this.#work.delete(uid);
        return {};
      case 'wait':
        await this.#say(object, decision.message);
        return { afterMs: decision.afterMs };
      case 'fail': {
        const { reason, message, hint } = decision.refusal;
        await parts.objects.fail(await this.#family(object), reason, hint ? `${message} ${hint}` : message);
        this.#event(object, 'Warning', reason, message);
        return {};
      }
      case 'begin': {
        const origin = originOf(observed.facts!.pod!, object);
        if (this.kind === 'PodCheckpoint') {
          subject.containerCheckpoints = await parts.objects.createChildren(object as PodCheckpoint, origin);
        }
        await parts.objects.markRunning(subject, origin);
        this.#event(
          object,
          'Normal',
          'Running',
          `Pod ${origin.podName} is checkpointed on ${origin.nodeName}.`,
        );
        return undefined;
      }
      case 'checkpoint':
        work.start('checkpoint', () => this.#checkpoint(object));
        return {};
      case 'succeed': {
        const { podName } = object.spec;
        const origin: CheckpointOrigin = {
          nodeName: object.status?.nodeName ?? '',
          podName,
          podUID: object.status?.podUID ?? '',
          containers: [],
        };
        await parts.objects.succeed(await this.#family(object), origin, decision.result, uid);
        this.#event(object, 'Normal', 'Succeeded', `Checkpoint of pod ${podName} is complete.`);
        this.#work.delete(uid);
        return {};
      }
      default:
        return decision satisfies never;
    }
  }

  async #checkpoint(object: Checkpoint): Promise<CheckpointResult> {
    const { parts } = this;
    const { podName } = object.spec;
    const pod = await parts.client.pods.find(podName, object.metadata.namespace);
    const node = object.status!.nodeName!;
    const reference =
      pod?.metadata.uid === object.status!.podUID
        ? podRef(pod!)
        : { namespace: object.metadata.namespace!, name: podName, uid: object.status!.podUID! };
    const origin = pod && originOf(pod, object);
    return parts.agents.agent(node, parts.caches.nodes.get(node)).checkpoint(
      {
        checkpointUid: object.metadata.uid!,
        pod: reference,
        containers: (origin?.containers ?? []).map(({ name, containerID }) => ({
          name,
          containerId: containerID,
        })),
        tcp: TcpMode.TCP_MODE_CLOSE,
        thawAfter: true,
        owner: undefined,
        dumpTimeout: undefined,
        archive: undefined,
      },
      () => {},
    );
  }

  async #facts(object: Checkpoint): Promise<CheckpointFacts> {
    const { parts } = this;
    const { namespace = '', uid } = object.metadata;
    const { podName } = object.spec;
    const pod = await parts.client.pods.find(podName, namespace);
    const nodeName = pod?.spec?.nodeName;
    const node = nodeName ? parts.caches.nodes.get(nodeName) : undefined;
    const [info, inspection] =
      pod && nodeName && node
        ? await Promise.all([nodeInfo(parts, nodeName), inspect(parts, nodeName, pod)])
        : [undefined, undefined];
    const busyWith = await this.#busyWith(namespace, podName, uid);
    return {
      namespace,
      podName,
      pod,
      podNames: parts.caches.pods
        .list()
        .filter((other) => other.metadata.namespace === namespace)
        .map((other) => other.metadata.name),
      ...('containerName' in object.spec ? { containerName: object.spec.containerName } : {}),
      ...(nodeName ? { node: { name: nodeName, node, ...(info ? { agent: info } : {}) } } : {}),
      ...(inspection ? { inspection } : {}),
      ...(busyWith ? { busyWith } : {}),
    };
  }

  /** Asked of the API server: a copy that lags behind would let two dumps of one pod begin. */
  async #busyWith(namespace: string, podName: string, uid: string | undefined): Promise<string | undefined> {
    const { client } = this.parts;
    const [migrations, ...checkpoints] = await Promise.all([
      client.podMigrations.list({ namespace }),
      client.podCheckpoints.list({ namespace }),
      client.containerCheckpoints.list({ namespace }),
    ]);
    const same = (other: { metadata: { uid?: string }; spec: { podName: string } }) =>
      other.spec.podName === podName && other.metadata.uid !== uid;
    const migration = migrations.items.find((other) => same(other) && !isFinal(other));
    if (migration) return `migration ${migration.metadata.name} of the same pod`;
    const checkpoint = checkpoints
      .flatMap(({ items }): Checkpoint[] => items)
      .find(
        (other) =>
          same(other) && other.status?.phase === 'Running' && !other.metadata.ownerReferences?.length,
      );
    return checkpoint ? `checkpoint ${checkpoint.metadata.name} of the same pod` : undefined;
  }

  /** The object and its children, as they stand on the API server. */
  async #family(object: Checkpoint): Promise<CheckpointSubject> {
    if (this.kind === 'ContainerCheckpoint') return this.#subject(object);
    return this.parts.objects.find(object.metadata.namespace!, object.metadata.name);
  }

  #subject(object: Checkpoint): CheckpointSubject {
    return this.kind === 'PodCheckpoint'
      ? { podCheckpoint: object as PodCheckpoint, containerCheckpoints: [] }
      : { podCheckpoint: undefined, containerCheckpoints: [object as ContainerCheckpoint] };
  }

  async #say(object: Checkpoint, message: string): Promise<void> {
    const { name, namespace, uid } = object.metadata;
    const reference = { name, namespace: namespace!, uid: uid! };
    const change = <S extends { phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed'; message?: string }>(
      status: S,
    ): S => ({
      ...withPhase(status, status.phase ?? 'Pending', this.parts.now()),
      message,
    });
    if (this.kind === 'PodCheckpoint')
      await updateStatus(this.parts.client.podCheckpoints, reference, change);
    else await updateStatus(this.parts.client.containerCheckpoints, reference, change);
  }

  #operations(uid: string, key: string): OperationSet<Work> {
    let work = this.#work.get(uid);
    if (!work) {
      const none: Work = { checkpoint: { state: 'none' } };
      work = new OperationSet<Work>(
        none,
        () => this.enqueue(key),
        (operation, failure) =>
          this.parts.log.warn(`${operation} failed: ${failure.message}`, {
            checkpoint: key,
            reason: failure.reason,
          }),
      );
      this.#work.set(uid, work);
    }
    return work;
  }

  #event(object: Checkpoint, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.parts.events.record({ ...object, apiVersion: API_VERSION, kind: this.kind }, type, reason, message);
    this.parts.log.info(message, {
      checkpoint: `${object.metadata.namespace}/${object.metadata.name}`,
      reason,
      at: secondsTime(this.parts.now()),
    });
  }
}

function originOf(pod: Pod, object: Checkpoint): CheckpointOrigin {
  const wanted = 'containerName' in object.spec ? object.spec.containerName : undefined;
  return {
    nodeName: pod.spec?.nodeName ?? '',
    podName: pod.metadata.name,
    podUID: pod.metadata.uid!,
    containers: (pod.spec?.containers ?? [])
      .filter(({ name }) => wanted === undefined || name === wanted)
      .map(({ name }) => ({ name, containerID: containerId(pod, name) ?? '' })),
  };
}
