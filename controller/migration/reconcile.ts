/** The loop around decide(): observe, decide, record, start. */
import { API_VERSION, FINALIZER } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import { messageOf } from '../../common/errors.js';
import { faultPoint } from '../../common/fault-point.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { Pod } from '../../common/kube/types.js';
import type { Parts } from '../parts.js';
import type { Requeue } from '../queue.js';
import { act } from './act.js';
import { MigrationContext } from './context.js';
import { countEnded } from './count-ended.js';
import { hasCriuLogs, storeCriuLogs } from './criu-logs.js';
import { decide, isFinal } from './decide.js';
import { observe } from './observe.js';
import type { Decision, EventSpec, Observed } from './observed.js';

/** Decisions that follow each other at once; more means that two states point at each other. */
const MAX_TURNS = 20;
/** A pause before a migration is taken up again that somebody else acted for: two who take turns must not spin. */
const SUPERSEDED_MS = 200;

export class MigrationReconciler {
  readonly #contexts = new Map<string, MigrationContext>();
  /** By UID of ended migrations, for as long as they have their finalizer: whether CRIU's logs are stored. */
  readonly #logs = new Map<string, 'storing' | 'stored'>();

  constructor(
    private readonly parts: Parts,
    /** Adds a key to the work queue. */
    private readonly enqueue: (key: string) => void,
  ) {}

  /** Migrations that this process works on. */
  get active(): number {
    return [...this.#contexts.values()].filter((context) => !context.ended).length;
  }

  /** Keys of the active migrations that a change of this pod may matter to. */
  keysFor(pod: Pod): string[] {
    return [...this.#contexts.values()]
      .filter(({ migration }) => {
        const { name, namespace } = pod.metadata;
        return (
          migration.metadata.namespace === namespace &&
          (migration.spec.podName === name || migration.status?.restoredPodName === name)
        );
      })
      .map(({ key }) => key);
  }

  async reconcile(key: string): Promise<Requeue> {
    const { caches } = this.parts;
    const cached = caches.migrations.get(key);
    let context = this.#contexts.get(key);
    if (context?.finished && (!cached || cached.metadata.uid !== context.uid || isFinal(cached))) {
      // The watch has caught up with what was written: only now can the memory go.
      this.#contexts.delete(key);
      this.#logs.delete(context.uid);
      context = undefined;
    }
    if (!context) {
      if (!cached) return {};
      if (isFinal(cached)) return this.#withoutFinalizer(cached);
      context = await this.#begin(key, cached);
      if (!context) return {};
    }
    context.seen(cached);
    try {
      return await this.#drive(context);
    } catch (error) {
      if (!context.recorder.superseded) throw error;
      return this.#drop(context, error);
    }
  }

  /** Somebody else acts for the migration: what is remembered here is worth nothing. The next turn begins from what stands. */
  #drop(context: MigrationContext, why: unknown): Requeue {
    context.log.warn(`What was decided is dropped, nothing is started: ${messageOf(why)}`);
    if (this.#contexts.get(context.key) === context) this.#contexts.delete(context.key);
    return { afterMs: SUPERSEDED_MS };
  }

  /** Waits until everything that was recorded is written. */
  async flush(): Promise<void> {
    await Promise.allSettled(
      [...this.#contexts.values()].map(async (context) => {
        await context.checkpointWrites;
        await context.recorder.flush();
      }),
    );
  }

  async #begin(key: string, cached: PodMigration): Promise<MigrationContext | undefined> {
    const { name, namespace } = cached.metadata;
    // The watch may lag behind what this controller wrote before it was restarted.
    const live = await this.parts.client.podMigrations.find(name, namespace);
    if (!live || isFinal(live)) return undefined;
    const context = new MigrationContext(key, live, this.parts, () => this.enqueue(key));
    this.#contexts.set(key, context);
    context.log.info(
      live.status?.phase && live.status.phase !== 'Pending'
        ? `Taking up migration of pod ${live.spec.podName} in phase ${live.status.phase}.`
        : `Beginning migration of pod ${live.spec.podName}.`,
      { pod: live.spec.podName, targetNode: live.spec.targetNode },
    );
    return context;
  }

  async #drive(context: MigrationContext): Promise<Requeue> {
    for (let turn = 0; turn < MAX_TURNS; turn += 1) {
      // Thrown to reconcile(), which drops the context.
      if (context.recorder.superseded) await context.recorder.flush();
      if (context.ended) {
        const { key, migration, checkpointUid } = context;
        if (!context.finished && this.#logsStored(key, migration, checkpointUid)) await this.#end(context);
        return {};
      }
      const observed = await observe(this.parts, context);
      if (context.recorder.superseded) continue;
      const decision = decide(observed);
      const goneMeanwhile = !(await this.#carryOut(context, observed, decision));
      if (!decision.again && !goneMeanwhile && !context.ended) {
        return decision.requeueAfterMs === undefined
          ? { afterMs: timeoutOf(observed) }
          : { afterMs: decision.requeueAfterMs };
      }
    }
    throw new Error(`Migration ${context.key} decides for ever in phase ${context.migration.status?.phase}.`);
  }

  /** False when the object vanished, or somebody else wrote it, before what was decided was recorded: nothing was started. */
  async #carryOut(context: MigrationContext, observed: Observed, decision: Decision): Promise<boolean> {
    const before = observed.migration.status?.phase;
    if (decision.finalizer === 'add') await this.#setFinalizer(context, true);
    context.recorder.record(decision.status);
    if (decision.status.phase !== before) {
      context.log.info(`Phase ${decision.status.phase}: ${decision.status.message ?? ''}`, {
        phase: decision.status.phase,
        ...(decision.status.reason ? { reason: decision.status.reason } : {}),
      });
    }
    if (decision.barrier) {
      await context.recorder.flush();
      FAULT: await faultPoint('controller.barrier.after');
      if (context.recorder.gone && !observed.migration.metadata.deletionTimestamp) return false;
    }
    if (context.recorder.superseded) return false;
    for (const { operation, plan } of decision.start) act(this.parts, context, operation, plan);
    for (const event of decision.events) this.#event(context, observed, event);
    return true;
  }

  /**
   * True when CRIU's logs are stored, or there are none. They are fetched once and in the background, so that no worker waits
   * for an agent while the pod of another migration is frozen; the finalizer stays for as long.
   */
  #logsStored(key: string, migration: PodMigration, checkpointUid?: string): boolean {
    const uid = migration.metadata.uid!;
    const state = this.#logs.get(uid);
    if (state !== undefined || !hasCriuLogs(migration)) return state !== 'storing';
    this.#logs.set(uid, 'storing');
    void storeCriuLogs(this.parts, migration, checkpointUid).then(() => {
      this.#logs.set(uid, 'stored');
      this.enqueue(key);
    });
    return false;
  }

  /** The end state stands on the API server before the finalizer goes. */
  async #end(context: MigrationContext): Promise<void> {
    const { status } = context.migration;
    await context.recorder.flush();
    await this.#setFinalizer(context, false);
    countEnded(this.parts.metrics, context.migration);
    context.log.info(`Ended: ${status?.message ?? ''}`, {
      phase: status?.phase,
      downtimeMilliseconds: status?.downtimeMilliseconds,
      totalMilliseconds: status?.totalMilliseconds,
    });
    context.finished = true;
    // The watch will show the end state; then the context goes.
    this.enqueue(context.key);
  }

  /** Throws when somebody else acts for the migration. */
  async #setFinalizer(context: MigrationContext, wanted: boolean): Promise<void> {
    for (;;) {
      // Its own writes must not be in each other's way; and a finalizer is no business of one who is superseded.
      await context.recorder.flush();
      if (context.recorder.gone) return;
      const { metadata } = context.recorder.object;
      const have = metadata.finalizers ?? [];
      if (have.includes(FINALIZER) === wanted) return;
      const finalizers = wanted ? [...have, FINALIZER] : have.filter((name) => name !== FINALIZER);
      FAULT: await faultPoint(`controller.${wanted ? 'addFinalizer' : 'removeFinalizer'}.before`);
      try {
        const object = await this.parts.client.podMigrations.patch(metadata.name, metadata.namespace, {
          metadata: { finalizers, resourceVersion: metadata.resourceVersion },
        });
        FAULT: await faultPoint(`controller.${wanted ? 'addFinalizer' : 'removeFinalizer'}.after`);
        context.recorder.adopt(object);
        return;
      } catch (error) {
        if (!(error instanceof ApiError) || !(error.isConflict || error.isNotFound)) throw error;
        context.recorder.adopt(await this.parts.client.podMigrations.find(metadata.name, metadata.namespace));
      }
    }
  }

  /** A migration that ended while the controller was away, or whose end was not tidied up. */
  async #withoutFinalizer(migration: PodMigration): Promise<Requeue> {
    const { name, namespace, resourceVersion, finalizers = [] } = migration.metadata;
    if (!finalizers.includes(FINALIZER)) {
      this.#logs.delete(migration.metadata.uid!);
      return {};
    }
    if (!this.#logsStored(`${namespace}/${name}`, migration)) return {};
    try {
      await this.parts.client.podMigrations.patch(name, namespace, {
        metadata: { finalizers: finalizers.filter((one) => one !== FINALIZER), resourceVersion },
      });
    } catch (error) {
      // A newer version comes with the watch.
      if (!(error instanceof ApiError) || !(error.isConflict || error.isNotFound)) throw error;
    }
    return {};
  }

  #event(context: MigrationContext, observed: Observed, { on, type, reason, message }: EventSpec): void {
    const pod = on === 'source' ? observed.source.pod : on === 'target' ? observed.target.pod : undefined;
    if (on !== 'migration' && !pod) return;
    const target = pod
      ? { ...pod, apiVersion: 'v1', kind: 'Pod' }
      : { ...context.migration, apiVersion: API_VERSION, kind: 'PodMigration' };
    this.parts.events.record(target, type, reason, message);
  }
}

/** When nothing else brings the migration back: its timeout, and a look once a minute in any case. */
function timeoutOf({ migration, now }: Observed): number {
  const end =
    Date.parse(migration.status?.startTime ?? '') + (migration.spec.timeoutSeconds ?? 600) * 1000 - now;
  return Number.isNaN(end) || end <= 0 ? 60_000 : Math.min(60_000, end + 10);
}
