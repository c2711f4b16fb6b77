/**
 * The controller: its own decide() within the loop of controller/migration/reconcile.ts (observe, decide, record, start), with
 * an API server and agents that may be out of reach, and a memory that is lost with the process.
 */
import { ERRORS, LpmError } from '../../common/errors.js';
import type { PodMigration } from '../../common/api/schema.js';
import { Claim, Step, type GetPodStateResponse } from '../../proto/gen/lpm/v1/agent.js';
import { failureOf, toFailure, type Failure } from '../../controller/agents/failure.js';
import { containerFacts, nodeFacts, someFacts } from '../../controller/migration/build.testing.js';
import { decide, isFinal } from '../../controller/migration/decide.js';
import {
  noOperations,
  type Decision,
  type Observed,
  type Operation,
  type OperationName,
  type Operations,
} from '../../controller/migration/observed.js';
import { isAwaited, whatToAsk } from '../../controller/migration/observe.js';
import { isTargetOf, targetPod, type TargetPodPlan } from '../../common/pods/target-pod.js';
import { findCondition, isTrue } from '../../controller/status/conditions.js';
import type { Pod } from '../../common/kube/types.js';
import { podState } from './agent.js';
import { checkpoint, discardCheckpoint, endSource, thaw } from './agent-source.js';
import { discardStage, restore, revoke } from './agent-target.js';
import type { Agent } from './agent.js';
import { Refused, Watch } from './api.js';
import { deliver } from './kubelet.js';
import { Process, type Steps } from './scheduler.js';
import { ask, Unreachable, type Call } from './wire.js';
import type { World } from './world.js';

type Status = NonNullable<PodMigration['status']>;

interface Context {
  name: string;
  uid: string;
  operations: Operations;
  /** The object as it was last read or written, and the newest status. */
  object: PodMigration;
  status: Status | undefined;
  queue: Status[];
  gone: boolean;
  /** Sent, and perhaps written although no answer came. */
  unanswered: Status[];
  /** Somebody else has written the status: this process knows nothing any more. */
  dropped: boolean;
  deleted: boolean;
  checkpointUid: string | undefined;
  finished: boolean;
}

const CALL_MS = 10_000;
const WORK_MS = 60_000;
const SILENCE_MS = 60_000;

export class Controller {
  process: Process;
  leads = false;
  #contexts = new Map<string, Context>();
  #watch!: Watch;
  #wake = true;

  constructor(
    private readonly world: World,
    readonly name: string,
  ) {
    this.process = new Process('controller', name);
  }

  start(): void {
    this.process = new Process('controller', this.name);
    this.leads = false;
    this.#contexts = new Map();
    this.world.scheduler.spawn(this.process, this.#run(), 'start controller');
  }

  *#run(): Steps {
    const { world } = this;
    yield { at: 'controller starts', ms: 500 };
    while (this.#cutOff) yield { at: '.the controller cannot list', ms: 2000 };
    this.#watch = world.api.watch();
    world.scheduler.spawn(this.process, deliver(world, this.name, this.#watch), '.watch');
    yield* world.lease.acquire(this);
    world.note(`${this.name} leads`);
    this.leads = true;
    this.#wake = true;
    world.scheduler.spawn(this.process, world.lease.keep(this), '.lease');
    for (;;) {
      let next = 60_000;
      this.#wake = false;
      const { seen } = this.#watch;
      for (const name of new Set([...this.#watch.migrations.keys(), ...this.#contexts.keys()])) {
        try {
          next = Math.min(next, yield* this.#reconcile(name));
        } catch (error) {
          if (!(error instanceof Unreachable) && !(error instanceof Refused)) throw error;
          // The work queue tries it again.
          next = 500;
        }
      }
      yield {
        at: 'reconcile',
        until: () => this.#wake || this.#watch.seen > seen,
        timeoutMs: next,
      };
    }
  }

  get #cutOff(): boolean {
    return this.world.links.isCut(this.name, 'api');
  }

  /** A request to the API server: it may not arrive, or its answer may be lost. */
  *#request<T>(what: string, work: () => T): Steps<T> {
    yield { at: `api ${what}`, ms: 3 };
    if (this.#cutOff) {
      yield { at: '.no answer', ms: 3000 };
      throw new Unreachable(what);
    }
    const done = work();
    yield { at: `api answers ${what}`, ms: 3 };
    if (this.#cutOff || this.world.faults.losesAnswer()) throw new Unreachable(what);
    return done;
  }

  *#reconcile(name: string): Steps<number> {
    const { world } = this;
    const cached = this.#watch.migrations.get(name);
    let context = this.#contexts.get(name);
    if (context && (context.dropped || (context.finished && isOver(context, cached)))) {
      this.#contexts.delete(name);
      context = undefined;
    }
    if (!context) {
      if (!cached) return 60_000;
      const live = yield* this.#request('get migration', () => world.api.findMigration(name));
      if (!live) return 60_000;
      if (isFinal(live)) {
        if (live.metadata.finalizers?.length)
          yield* this.#request('remove finalizer', () => world.api.setFinalizer(live, false));
        return 60_000;
      }
      context = {
        name,
        uid: live.metadata.uid!,
        operations: noOperations(),
        object: live,
        status: live.status,
        queue: [],
        unanswered: [],
        gone: false,
        dropped: false,
        deleted: false,
        checkpointUid: undefined,
        finished: false,
      };
      this.#contexts.set(name, context);
      world.scheduler.spawn(this.process, this.#record(context), '.recorder');
    }
    const shown = cached?.metadata.uid === context.uid ? cached : undefined;
    if (!shown || shown.metadata.deletionTimestamp) context.deleted = true;
    return yield* this.#drive(context);
  }

  /** With the newest status, whether it is written yet or not, and with the spec as the watch shows it. */
  #migration({ object, status, deleted, gone, name }: Context): PodMigration {
    const cached = this.#watch.migrations.get(name);
    const spec = cached && cached.metadata.uid === object.metadata.uid ? cached.spec : object.spec;
    return {
      ...object,
      spec,
      metadata: {
        ...object.metadata,
        ...(deleted || gone ? { deletionTimestamp: '2030-01-01T00:00:00Z' } : {}),
      },
      ...(status ? { status } : {}),
    };
  }

  *#drive(context: Context): Steps<number> {
    for (let turn = 0; turn < 20; turn++) {
      if (context.dropped) return 10;
      if (isFinal(this.#migration(context))) {
        if (!context.finished) yield* this.#end(context);
        return 60_000;
      }
      const observed = yield* this.#observe(context);
      const decision = decide(this.world.guardObserved(observed));
      const went = yield* this.#carryOut(context, observed, decision);
      if (!decision.again && went && !isFinal(this.#migration(context)))
        return decision.requeueAfterMs ?? 60_000;
    }
    throw new Error(`It decides for ever in phase ${context.status?.phase}.`);
  }

  *#carryOut(context: Context, observed: Observed, decision: Decision): Steps<boolean> {
    if (decision.finalizer === 'add') yield* this.#setFinalizer(context, true);
    this.#note(context, decision.status);
    if (isTrue(decision.status.conditions, 'RollingBack')) this.world.note('rolls back');
    if (isTrue(decision.status.conditions, 'Committed')) this.world.note('committed');
    if (decision.barrier && this.world.guarded('a barrier stands before what cannot be taken back')) {
      yield* this.#flush(context);
      if (context.dropped) return true;
      if (context.gone && !observed.migration.metadata.deletionTimestamp) return false;
    }
    if (context.dropped) return true;
    for (const { operation, plan } of decision.start) this.#act(context, operation, plan);
    for (const event of decision.events) this.world.event(event.reason);
    return true;
  }

  *#end(context: Context): Steps {
    yield* this.#flush(context);
    if (context.dropped) return;
    yield* this.#setFinalizer(context, false);
    context.finished = true;
    this.#wake = true;
  }

  *#setFinalizer(context: Context, wanted: boolean): Steps {
    const { api } = this.world;
    if (wanted && !this.world.guarded('a finalizer holds the migration while it is active')) return;
    for (;;) {
      yield* this.#flush(context);
      if (context.gone || context.dropped) return;
      const have = context.object.metadata.finalizers ?? [];
      if (have.length > 0 === wanted) return;
      try {
        context.object = yield* this.#request('set finalizer', () =>
          api.setFinalizer(context.object, wanted),
        );
        return;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        const live = yield* this.#request('get migration', () => api.findMigration(context.name));
        this.#adopt(context, live);
      }
    }
  }

  /** Takes over a newer version, unless its status is not what this process has written. */
  #adopt(context: Context, live: PodMigration | undefined): void {
    if (!live || live.metadata.uid !== context.uid) {
      context.gone = true;
      context.queue.length = 0;
      return;
    }
    const unanswered = context.unanswered.find((status) => same(status, live.status));
    const foreign = unanswered === undefined && !same(live.status, context.object.status);
    if (foreign && this.world.guarded('a status that another has written drops the context')) {
      context.dropped = true;
      context.queue.length = 0;
      this.#wake = true;
      this.world.note('context dropped');
      return;
    }
    context.object = live;
    if (unanswered === undefined) return;
    context.unanswered = [];
    if (context.queue[0] === unanswered) context.queue.shift();
  }

  // ---------------------------------------------------------------------------------------------------- recording

  #note(context: Context, status: Status): void {
    if (JSON.stringify(status) === JSON.stringify(context.status)) return;
    context.status = status;
    if (context.gone) return;
    const last = context.queue.at(-1);
    if (last && milestone(last) === milestone(status)) context.queue[context.queue.length - 1] = status;
    else context.queue.push(status);
  }

  *#record(context: Context): Steps {
    const { api } = this.world;
    for (;;) {
      yield { at: '.nothing to record', until: () => context.queue.length > 0 };
      if (context.gone || context.dropped) return;
      const status = context.queue[0]!;
      try {
        context.object = yield* this.#request('write status', () =>
          api.replaceStatus({ ...context.object, status }),
        );
        context.unanswered = [];
        if (context.queue[0] === status) context.queue.shift();
      } catch (error) {
        if (!(error instanceof Refused)) {
          context.unanswered.push(status);
          yield { at: '.write again', ms: 1000 };
          continue;
        }
        try {
          const live = yield* this.#request('get migration', () => api.findMigration(context.name));
          this.#adopt(context, live);
        } catch {
          yield { at: '.read again', ms: 500 };
        }
      }
    }
  }

  *#flush(context: Context): Steps {
    yield {
      at: 'flush',
      until: () => context.queue.length === 0 || context.gone || context.dropped,
    };
  }

  // ---------------------------------------------------------------------------------------------------- observing

  *#observe(context: Context): Steps<Observed> {
    const { world } = this;
    const migration = this.#migration(context);
    const { status = {} } = migration;
    const observed: Observed = {
      now: world.now,
      migration,
      source: { pod: undefined },
      target: { pod: undefined },
      checkpointUid: context.checkpointUid ?? status.podCheckpointUID,
      operations: context.operations,
    };
    if (isTrue(status.conditions, 'Accepted')) {
      observed.source.pod = yield* this.#findPod(
        migration.spec.podName,
        (pod) => pod.metadata.uid === status.sourcePodUID,
      );
      if (status.restoredPodName) {
        observed.target.pod = yield* this.#findPod(status.restoredPodName, (pod) =>
          isTargetOf(pod, migration),
        );
      }
    }
    const asks = whatToAsk(observed);
    const targetNode = status.targetNode ?? observed.target.pod?.spec?.nodeName;
    const targetUid = status.restoredPodUID ?? observed.target.pod?.metadata.uid;
    if (asks.facts) observed.facts = yield* this.#facts(migration);
    if (asks.source && status.sourceNode) {
      observed.source.state = yield* this.#answer(
        status.sourceNode,
        status.sourcePodUID!,
        (state) => state.source!,
      );
    }
    if (asks.agents && status.sourceNode && targetNode && targetUid) {
      for (const [node, pod] of [
        [status.sourceNode, status.sourcePodUID!],
        [targetNode, targetUid],
      ] as const) {
        if (isAwaited(yield* this.#answer(node, pod, ({ ending }) => ({ ending }))))
          observed.awaitedAgent ??= node;
      }
    }
    if (asks.target && targetNode && targetUid) {
      observed.target.state = yield* this.#answer(targetNode, targetUid, (state) => state.target!);
    }
    if (asks.checkpointUid) {
      const found = yield* this.#request('get checkpoint', () => world.api.checkpoints.get(context.name));
      if (found?.owner === context.uid) observed.checkpointUid = context.checkpointUid = found.uid;
    }
    observed.now = world.now;
    observed.operations = context.operations;
    return observed;
  }

  *#findPod(name: string, is: (pod: Pod) => boolean): Steps<Pod | undefined> {
    const cached = this.#watch.pods.get(name);
    if (cached && is(cached)) return cached;
    const live = yield* this.#request('get pod', () => this.world.api.pods.get(name));
    return live && is(live) ? live : undefined;
  }

  *#facts(migration: PodMigration): Steps<NonNullable<Observed['facts']>> {
    const { api } = this.world;
    return yield* this.#request('facts', () =>
      someFacts({
        migration,
        pod: api.pods.get(migration.spec.podName),
        podNames: [...api.pods.keys()],
        nodeNames: [...this.world.nodes.keys()],
        source: nodeFacts(this.world.sourceNode),
        targets: [nodeFacts(this.world.targetNode)],
        inspection: {
          value: this.world
            .node(this.world.sourceNode)
            .running(this.world.sourcePod)
            .map(({ id }) => containerFacts({ containerId: id })),
        },
        otherMigrations: [...api.migrations.values()].filter(
          (other) => other.metadata.uid !== migration.metadata.uid && !isFinal(other),
        ),
      }),
    );
  }

  *#answer<T>(
    node: string,
    pod: string,
    part: (state: GetPodStateResponse) => T,
  ): Steps<{ value: T } | { failure: Failure }> {
    try {
      const state = yield* this.#ask(node, 'pod state', (agent) => podState(agent, pod), CALL_MS);
      return { value: part(state) };
    } catch (error) {
      return { failure: toFailure(error) };
    }
  }

  // ------------------------------------------------------------------------------------------------------- acting

  #act(context: Context, name: OperationName, plan: TargetPodPlan | undefined): void {
    const { world } = this;
    const old: Operation<unknown> = context.operations[name];
    if (old.state === 'running') return;
    const set = (operation: Operation<unknown>): void => {
      context.operations = { ...context.operations, [name]: operation };
      this.#wake = true;
    };
    const attempts = old.state === 'failed' ? old.attempts + 1 : 1;
    const firstAt = old.state === 'failed' ? old.firstAt : undefined;
    set({ state: 'running', since: world.now, attempts });
    const onProgress = (step: Step): void => {
      const operation: Operation<unknown> = context.operations[name];
      if (operation.state !== 'running') return;
      set({ ...operation, progress: { step, containerName: '', bytesDone: 0n, bytesTotal: 0n } });
    };
    const work = this.#work(context, name, plan, onProgress);
    world.scheduler.spawn(
      this.process,
      (function* (): Steps {
        try {
          const value = yield* work;
          set({ state: 'done', value, at: world.now });
        } catch (error) {
          if (error instanceof TypeError) throw error;
          const at = world.now;
          set({ state: 'failed', failure: failureFrom(error), at, firstAt: firstAt ?? at, attempts });
        }
      })(),
      `begin ${name}`,
    );
  }

  *#work(
    context: Context,
    name: OperationName,
    plan: TargetPodPlan | undefined,
    onProgress: (step: Step) => void,
  ): Steps<unknown> {
    const { world } = this;
    const migration = this.#migration(context);
    const status = migration.status!;
    const source = status.sourceNode!;
    const target = status.targetNode!;
    switch (name) {
      case 'createTarget':
        return yield* this.#createTarget(migration, plan);
      case 'createCheckpoint': {
        const made = yield* this.#request('create checkpoint', () =>
          world.api.createCheckpoint(context.name, context.uid),
        );
        context.checkpointUid = made.uid;
        return { uid: made.uid, name: made.name };
      }
      case 'checkpoint': {
        const asked = {
          checkpoint: this.#checkpointUid(context),
          pod: status.sourcePodUID!,
          containerIds: (status.sourceContainers ?? []).map(({ containerID }) => containerID),
        };
        return yield* this.#ask(source, 'checkpoint', (agent) => checkpoint(agent, asked), SILENCE_MS);
      }
      case 'recordCheckpoint':
      case 'discardCheckpoint':
        return yield* this.#request(name, () => undefined);
      case 'restore': {
        const asked = {
          migration: context.uid,
          pod: status.restoredPodUID!,
          checkpoint: this.#checkpointUid(context),
          sourceNode: source,
        };
        return yield* this.#ask(target, 'restore', (agent) => restore(agent, asked, onProgress), SILENCE_MS);
      }
      case 'revoke': {
        const claim = yield* this.#ask(
          target,
          'revoke',
          (agent) => revoke(agent, status.restoredPodUID!, context.uid),
          WORK_MS,
        );
        if (claim === Claim.CLAIM_NONE) throw new LpmError('Internal', 'It did not say who holds the claim.');
        return claim;
      }
      case 'thaw':
        try {
          return yield* this.#ask(
            source,
            'thaw',
            (agent) => thaw(agent, status.sourcePodUID!, this.#checkpointUid(context)),
            WORK_MS,
          );
        } catch (error) {
          // Another checkpoint holds the pod by now, so ours was over before.
          if (error instanceof LpmError && error.reason === 'PodBusy') return undefined;
          throw error;
        }
      case 'deleteTarget':
        return yield* this.#deletePod(
          status.restoredPodName!,
          status.restoredPodUID!,
          givenUp(migration, 'KeepSource'),
        );
      case 'deleteSource':
        return yield* this.#deletePod(
          migration.spec.podName,
          status.sourcePodUID!,
          givenUp(migration, 'KeepTarget'),
        );
      case 'endSource':
        return yield* this.#ask(
          source,
          'end source',
          (agent, call) => endSource(agent, status.sourcePodUID!, () => call.canceled),
          WORK_MS,
        );
      case 'discardSource':
        return yield* this.#ask(
          source,
          'discard',
          (agent) => discardCheckpoint(agent, this.#checkpointUid(context)),
          WORK_MS,
        );
      case 'discardTarget':
        return yield* this.#ask(
          target,
          'discard',
          (agent) => discardStage(agent, status.restoredPodUID!),
          WORK_MS,
        );
      case 'clocks':
        yield { at: '.clocks', ms: 5 };
        return { source: { offsetMs: 0, errorMs: 1 }, target: { offsetMs: 0, errorMs: 1 } };
      default:
        return name satisfies never;
    }
  }

  #checkpointUid({ checkpointUid, status, name }: Context): string {
    const uid = status?.podCheckpointUID ?? checkpointUid;
    if (uid) return uid;
    throw new LpmError('CheckpointNotFound', `The PodCheckpoint of ${name} is gone.`);
  }

  *#createTarget(migration: PodMigration, plan: TargetPodPlan | undefined): Steps<unknown> {
    const { world } = this;
    const source = yield* this.#request('get pod', () => world.api.pods.get(migration.spec.podName));
    if (!source || source.metadata.uid !== migration.status?.sourcePodUID || !plan) {
      throw new LpmError('SourceChanged', 'It was deleted.');
    }
    const asked = targetPod(source, migration, plan);
    const answer = (pod: Pod): unknown => ({ uid: pod.metadata.uid!, changes: [], differences: [] });
    try {
      return answer(
        yield* this.#request('create target', () => world.api.createPod(asked.pod, world.id('pod'))),
      );
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const pod = yield* this.#request('get pod', () => world.api.pods.get(plan.name));
      if (pod && isTargetOf(pod, migration) && !pod.metadata.deletionTimestamp) return answer(pod);
      throw new LpmError('NameTaken', 'There is such a pod.');
    }
  }

  *#deletePod(name: string, uid: string, force: boolean): Steps<void> {
    const { world } = this;
    try {
      yield* this.#request('delete pod', () =>
        world.api.deletePod(name, world.guarded('a pod is deleted by its UID') ? uid : undefined, force),
      );
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }

  *#ask<T>(
    node: string,
    what: string,
    work: (agent: Agent, call: Call<T>) => Steps<T>,
    timeoutMs: number,
  ): Steps<T> {
    const { world } = this;
    try {
      return yield* ask<T>(
        world,
        { process: this.process, place: this.name },
        node,
        what,
        () => world.agents.get(node)?.process,
        (call) => work(world.agents.get(node)!, call),
        timeoutMs,
      );
    } catch (error) {
      if (error instanceof Unreachable) throw new LpmError('AgentNotReachable', `${what}: no answer.`);
      throw error;
    }
  }
}

/** A person has decided for the other side. */
function givenUp({ status }: PodMigration, reason: string): boolean {
  const resolved = findCondition(status?.conditions, 'Resolved');
  return resolved?.status === 'True' && resolved.reason === reason;
}

const same = (a: Status | undefined, b: Status | undefined): boolean =>
  JSON.stringify(a ?? {}) === JSON.stringify(b ?? {});

function failureFrom(error: unknown): Failure {
  if (error instanceof Unreachable) return { ...failureOf('Internal', 'no answer'), retryable: true };
  if (error instanceof Refused)
    return { ...failureOf('Internal', error.code), retryable: error.code === 'Conflict' };
  if (error instanceof LpmError) return { ...toFailure(error), retryable: ERRORS[error.reason].retryable };
  throw error;
}

/** The watch has caught up with the end that was written. */
function isOver({ uid }: Context, cached: PodMigration | undefined): boolean {
  return !cached || cached.metadata.uid !== uid || isFinal(cached);
}

function milestone(status: Status | undefined): string {
  return JSON.stringify([
    status?.phase,
    status?.conditions?.map(({ type, status, reason }) => [type, status, reason]),
  ]);
}
