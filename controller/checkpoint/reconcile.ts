/**
 * Reconciles PodCheckpoints and ContainerCheckpoints that a user has made. Those that a migration or a PodCheckpoint has
 * made are its business.
 */
import { API_VERSION } from '../../common/api/names.js';
import type { ContainerCheckpoint, PodCheckpoint } from '../../common/api/schema.js';
import { LpmError } from '../../common/errors.js';
import type { CheckpointResult } from '../../proto/gen/lpm/v1/agent.js';
import type { Refusal } from '../migration/facts.js';
import type { Operation } from '../migration/observed.js';
import { OperationSet } from '../operations.js';
import type { Parts } from '../parts.js';
import type { Requeue } from '../queue.js';
import { agentOf, askAgent, askKubelet, podOf } from './ask.js';
import { createChildren, findChildren } from './children.js';
import { beginningOf } from './beginning.js';
import { collectFacts } from './collect-facts.js';
import { decideCheckpoint, type CheckpointDecision, type CheckpointObserved } from './decide.js';
import { reconcileExport } from './exporter.js';
import { importFacts, takeIn } from './importing.js';
import { bindMembers, bindPod } from './finish.js';
import {
  clientOf,
  isFinished,
  isMade,
  isPodCheckpoint,
  type Checkpoint,
  type CheckpointKind,
} from './kinds.js';
import { failedStatus, isFinal, pendingStatus, progressStatus, runningStatus } from './status.js';
import { membersOf, turnOf, wayOf, type Turn } from './turn.js';
import { updateCheckpoint } from './update-status.js';

interface Work extends Record<'ask', Operation<unknown>> {
  ask: Operation<CheckpointResult>;
}

/** What an agent was asked for by this process. */
interface Call {
  key: string;
  checkpoint: Checkpoint;
  operations: OperationSet<Work>;
}

const MAX_TURNS = 200;
const ASK = { Agent: askAgent, Kubelet: askKubelet, Import: takeIn };

export class CheckpointReconciler {
  /** By UID of what was asked for. */
  readonly #calls = new Map<string, Call>();
  /** Beginnings on one pod, one after the other: of two at the same time the second must see the first. */
  readonly #beginnings = new Map<string, Promise<unknown>>();

  constructor(
    private readonly parts: Parts,
    private readonly kind: CheckpointKind,
    private readonly enqueue: (key: string) => void,
  ) {}

  async reconcile(key: string): Promise<Requeue> {
    const [namespace = '', name = ''] = key.split('/');
    for (let turn = 0; turn < MAX_TURNS; turn += 1) {
      const checkpoint = await clientOf(this.parts.client, this.kind).find(name, namespace);
      this.#abandonOthers(key, checkpoint?.metadata.deletionTimestamp ? undefined : checkpoint);
      if (!checkpoint || isMade(checkpoint) || checkpoint.metadata.deletionTimestamp) return {};
      if (isFinished(checkpoint)) return reconcileExport(this.parts, checkpoint);
      const requeue = await this.#step(key, checkpoint);
      if (requeue) return requeue;
    }
    throw new Error(`${this.kind} ${key} decides for ever.`);
  }

  /** One step; undefined: look at once again. */
  async #step(key: string, checkpoint: Checkpoint): Promise<Requeue | undefined> {
    const isPending = (checkpoint.status?.phase ?? 'Pending') === 'Pending';
    if (!checkpoint.status?.phase) {
      await this.#update(checkpoint, (status) => pendingStatus(status, 'Looking at the pod.', this.#now()));
    }
    if (!isPending) return this.#act(key, await this.#observe(checkpoint));
    return this.#inTurn(`${checkpoint.metadata.namespace}/${checkpoint.spec.podName}`, async () =>
      this.#act(key, {
        ...(await this.#observe(checkpoint)),
        ...(checkpoint.spec.import
          ? { importFacts: await importFacts(this.parts) }
          : { facts: await collectFacts(this.parts, checkpoint) }),
      }),
    );
  }

  async #observe(checkpoint: Checkpoint): Promise<CheckpointObserved> {
    const members = membersOf(
      checkpoint,
      isPodCheckpoint(checkpoint) ? await findChildren(this.parts.client, checkpoint) : [],
    );
    const turn = checkpoint.status?.phase === 'Running' ? turnOf(checkpoint, members) : undefined;
    const call = turn && this.#calls.get(turn.uid);
    return {
      now: this.#now(),
      checkpoint,
      members,
      operation: call?.operations.all.ask ?? { state: 'none' },
    };
  }

  async #act(key: string, observed: CheckpointObserved): Promise<Requeue | undefined> {
    const decision: CheckpointDecision = decideCheckpoint(observed);
    const { checkpoint, members, operation } = observed;
    switch (decision.do) {
      case 'nothing':
        return {};
      case 'wait':
        await this.#update(checkpoint, (status) =>
          isFinal(status)
            ? status
            : { ...pendingStatus(status, decision.message, this.#now()), message: decision.message },
        );
        return { afterMs: decision.afterMs };
      case 'watch':
        if (operation.state === 'running' && operation.progress) {
          const { progress } = operation;
          await this.#update(checkpoint, (status) => progressStatus(status, progress));
        }
        return { afterMs: decision.afterMs };
      case 'fail':
        await this.#fail(checkpoint, members, decision.refusal);
        return {};
      case 'begin':
        return this.#orFail(checkpoint, members, () => this.#begin(observed));
      case 'ask':
        return this.#ask(key, checkpoint, decision.turn);
      case 'keep':
        return this.#orFail(checkpoint, members, async () => {
          await bindMembers(this.parts, checkpoint, decision.turn, decision.result);
          this.#calls.delete(decision.turn.uid);
          if (!isPodCheckpoint(checkpoint)) this.#succeeded(checkpoint);
        });
      case 'succeed':
        return this.#orFail(checkpoint, members, async () => {
          await bindPod(this.parts, checkpoint as PodCheckpoint, members);
          this.#succeeded(checkpoint);
        });
      default:
        return decision satisfies never;
    }
  }

  async #begin(observed: CheckpointObserved): Promise<void> {
    const { checkpoint } = observed;
    const now = this.#now();
    const { nodeName, podUID, containers, podTemplate, message } = beginningOf(observed);
    const where = { nodeName, podUID };
    const idOf = (container: string) => containers.find(({ name }) => name === container)?.containerID ?? '';
    let own: object;
    if (isPodCheckpoint(checkpoint)) {
      const names = containers.map(({ name }) => name);
      const children = await createChildren(this.parts.client, checkpoint, names);
      await Promise.all(
        children.map((child) =>
          this.#update(child, (status, object) => {
            const its = { ...where, containerID: idOf(child.spec.containerName) };
            if (wayOf(checkpoint) !== 'Kubelet') return runningStatus(status, object, message, its, now);
            const waits = 'Waits until the containers before it are done.';
            return isFinal(status) ? status : { ...pendingStatus(status, waits, now), ...its };
          }),
        ),
      );
      own = { containerCheckpoints: children.map(({ metadata }) => metadata.name) };
    } else {
      own = { containerID: idOf(checkpoint.spec.containerName) };
    }
    const beginning = { ...where, ...own, ...(podTemplate ? { podTemplate } : {}) };
    // Another controller may have begun meanwhile: what that has recorded stands.
    await this.#update(checkpoint, (status, object) =>
      status.phase === 'Running' ? status : runningStatus(status, object, message, beginning, now),
    );
    this.#event(checkpoint, 'Normal', 'Running', message);
  }

  async #ask(key: string, checkpoint: Checkpoint, turn: Turn): Promise<Requeue> {
    for (const member of turn.members) {
      if (member.status?.phase !== 'Pending') continue;
      const message = `Container ${member.spec.containerName} is being checkpointed on node ${checkpoint.status!.nodeName}.`;
      await this.#update(member, (status, object) => runningStatus(status, object, message, {}, this.#now()));
    }
    const call = this.#call(key, checkpoint, turn);
    const ask = ASK[wayOf(checkpoint)];
    call.operations.start('ask', (onProgress) => ask(this.parts, checkpoint, turn, onProgress));
    return { afterMs: 1000 };
  }

  /** What cannot be done as things are is the end of the checkpoint; what may pass comes again. */
  async #orFail(
    checkpoint: Checkpoint,
    members: ContainerCheckpoint[],
    work: () => Promise<void>,
  ): Promise<Requeue | undefined> {
    try {
      await work();
      return undefined;
    } catch (error) {
      if (!(error instanceof LpmError) || error.retryable || error.reason === 'NotLeader') throw error;
      await this.#fail(checkpoint, members, error);
      return {};
    }
  }

  async #fail(
    checkpoint: Checkpoint,
    members: ContainerCheckpoint[],
    { reason, message, hint }: Refusal,
  ): Promise<void> {
    const sentence = hint ? `${message} ${hint}` : message;
    const fail = (object: Checkpoint) =>
      this.#update(object, (status, live) =>
        isFinal(status) ? status : failedStatus(status, live, reason, sentence, this.#now()),
      );
    // First the children: who sees the end of the whole sees that of its parts.
    await Promise.all(members.filter((member) => member !== checkpoint).map(fail));
    await fail(checkpoint);
    this.#abandon(checkpoint.metadata.uid!);
    for (const member of members) this.#abandon(member.metadata.uid!);
    this.#event(checkpoint, 'Warning', reason, message);
    this.#podEvent(
      checkpoint,
      'Warning',
      'CheckpointFailed',
      `Checkpoint ${checkpoint.metadata.name}: ${message}`,
    );
    this.#count(checkpoint, 'Failed');
  }

  #succeeded(checkpoint: Checkpoint): void {
    const { name } = checkpoint.metadata;
    const { podName } = checkpoint.spec;
    this.#event(checkpoint, 'Normal', 'Succeeded', `Checkpoint of pod ${podName} is complete.`);
    this.#podEvent(checkpoint, 'Normal', 'Checkpointed', `${this.kind} ${name} of this pod is complete.`);
    this.#count(checkpoint, 'Succeeded');
  }

  /** Work for an object of this name that is gone, being deleted, or was replaced by another one. */
  #abandonOthers(key: string, live: Checkpoint | undefined): void {
    for (const [uid, call] of this.#calls) {
      if (call.key === key && call.checkpoint.metadata.uid !== live?.metadata.uid) this.#abandon(uid);
    }
  }

  /**
   * Nobody waits for it any more: an agent that still works on it stops and lets the pod run on. One that cannot be told ends
   * by itself; what it makes then is swept.
   */
  #abandon(uid: string): void {
    const call = this.#calls.get(uid);
    if (!call) return;
    this.#calls.delete(uid);
    const { checkpoint, operations } = call;
    const { state } = operations.all.ask;
    if (wayOf(checkpoint) !== 'Agent' || state === 'none' || state === 'done') return;
    Promise.resolve()
      .then(() => agentOf(this.parts, checkpoint).thaw(podOf(checkpoint), uid))
      .catch((error: unknown) =>
        this.parts.log.debug(`The agent cannot be told that a checkpoint is given up: ${String(error)}`),
      );
  }

  #call(key: string, checkpoint: Checkpoint, { uid }: Turn): Call {
    let call = this.#calls.get(uid);
    if (!call) {
      const operations = new OperationSet<Work>(
        { ask: { state: 'none' } },
        () => this.enqueue(key),
        (_, failure) =>
          this.parts.log.warn(`The checkpoint failed: ${failure.message}`, {
            checkpoint: key,
            reason: failure.reason,
            ...(failure.log ? { log: failure.log } : {}),
          }),
        this.parts.now,
      );
      this.#calls.set(uid, (call = { key, checkpoint, operations }));
    }
    return call;
  }

  async #inTurn<T>(pod: string, work: () => Promise<T>): Promise<T> {
    const before = this.#beginnings.get(pod) ?? Promise.resolve();
    const mine = before.catch(() => {}).then(work);
    this.#beginnings.set(pod, mine);
    try {
      return await mine;
    } finally {
      if (this.#beginnings.get(pod) === mine) this.#beginnings.delete(pod);
    }
  }

  #now(): number {
    return this.parts.now();
  }

  #update(...[checkpoint, change]: [Checkpoint, Parameters<typeof updateCheckpoint>[2]]) {
    return updateCheckpoint(this.parts.client, checkpoint, change);
  }

  #count(checkpoint: Checkpoint, phase: string): void {
    this.parts.metrics.count('lpm_checkpoints_total', 'Checkpoints of users that have ended.', {
      kind: this.kind,
      via: wayOf(checkpoint),
      phase,
    });
  }

  #event(checkpoint: Checkpoint, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { name, namespace } = checkpoint.metadata;
    const target = { ...checkpoint, apiVersion: API_VERSION, kind: this.kind };
    this.parts.events.record(target, type, reason, message);
    this.parts.log.info(message, { checkpoint: `${namespace}/${name}`, reason });
  }

  #podEvent(checkpoint: Checkpoint, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { namespace } = checkpoint.metadata;
    const { podName: name, import: imported } = checkpoint.spec;
    const pod = this.parts.caches.pods.get(`${namespace}/${name}`);
    if (!pod || imported) return;
    this.parts.events.record({ ...pod, apiVersion: 'v1', kind: 'Pod' }, type, reason, message);
  }
}
