/** A decision while it is being made: the status as it will be, and what is to be started. */
import { MIGRATION_PHASES, type MigrationPhase, type PodMigration } from '../../common/api/schema.js';
import { backoffMs } from '../../common/kube/backoff.js';
import { Step, type Progress } from '../../proto/gen/lpm/v1/agent.js';
import type { Failure } from '../agents/failure.js';
import { findCondition, isoTime, isTrue, withCondition, withPhase } from '../status/conditions.js';
import { REASON, type ConditionType } from '../status/reasons.js';
import type {
  Decision,
  EventSpec,
  Observed,
  Operation,
  OperationName,
  Operations,
  PodMigrationStatus,
} from './observed.js';
import type { TargetPodPlan } from '../../common/pods/target-pod.js';
import { isRestore } from './from-checkpoint/is-restore.js';
import { isPreflight } from './preflight/is-preflight.js';

/** After so many failures of something that must succeed, the migration says that it is stuck; it keeps trying. */
export const STUCK_AFTER_ATTEMPTS = 3;
/** After so many failures of something that only tidies up, it is left. */
export const TIDY_ATTEMPTS = 5;

/** Steps of the agents, as status.progress and status.steps name them. */
export const STEP_NAMES: Record<Step, string> = {
  [Step.STEP_UNSPECIFIED]: 'Working',
  [Step.STEP_FREEZE]: 'Freeze',
  [Step.STEP_DUMP]: 'Dump',
  [Step.STEP_COLLECT]: 'Collect',
  [Step.STEP_TRANSFER]: 'Transfer',
  [Step.STEP_STAGE]: 'Stage',
  [Step.STEP_RESTORE]: 'Restore',
  [Step.STEP_ARCHIVE]: 'Archive',
  [Step.UNRECOGNIZED]: 'Working',
};

/** What a migration goes through that brings back a saved checkpoint. */
const RESTORE_PHASES: readonly MigrationPhase[] = MIGRATION_PHASES.filter(
  (phase) => !phase.startsWith('Checkpoint'),
);

/** What a migration goes through that only looks. */
const PREFLIGHT_PHASES: readonly MigrationPhase[] = ['Pending', 'Succeeded', 'Failed'];

function phasesOf(migration: PodMigration): readonly MigrationPhase[] {
  if (isPreflight(migration)) return PREFLIGHT_PHASES;
  return isRestore(migration) ? RESTORE_PHASES : MIGRATION_PHASES;
}

export class Draft {
  status: PodMigrationStatus;
  finalizer: Decision['finalizer'] = 'leave';
  #barrier = false;
  #again = false;
  #requeueAfterMs: number | undefined;
  readonly #start: Decision['start'] = [];
  readonly #events: EventSpec[] = [];

  constructor(readonly observed: Observed) {
    this.status = observed.migration.status ?? {};
  }

  get now(): number {
    return this.observed.now;
  }
  get operations(): Operations {
    return this.observed.operations;
  }

  set(change: Partial<PodMigrationStatus>): void {
    this.status = { ...this.status, ...change };
  }

  clear(...keys: (keyof PodMigrationStatus)[]): void {
    const status = { ...this.status };
    for (const key of keys) delete status[key];
    this.status = status;
  }

  /**
   * Enters a phase, and on the way those that come before it: none of the guide's phases is left out, but for the two about
   * the checkpoint where it was taken before, and for all where it is only looked.
   */
  phase(phase: MigrationPhase): void {
    const phases = phasesOf(this.observed.migration);
    const from = phases.indexOf(this.status.phase ?? 'Pending');
    const to = phases.indexOf(phase);
    if (this.status.phase === undefined) this.status = withPhase(this.status, 'Pending', this.now);
    const passed = phase === 'Failed' ? [phase] : phases.slice(from + 1, to + 1);
    for (const next of passed) this.status = withPhase(this.status, next, this.now);
  }

  condition(type: ConditionType, status: 'True' | 'False', reason: string, message: string): void {
    const { generation } = this.observed.migration.metadata;
    this.set({
      conditions: withCondition(
        this.status.conditions,
        { type, status, reason, message },
        this.now,
        generation,
      ),
    });
  }

  has(type: ConditionType): boolean {
    return isTrue(this.status.conditions, type);
  }

  event(on: EventSpec['on'], type: EventSpec['type'], reason: string, message: string): void {
    this.#events.push({ on, type, reason, message });
  }

  barrier(): void {
    this.#barrier = true;
  }
  again(): void {
    this.#again = true;
  }
  requeue(afterMs: number): void {
    this.#requeueAfterMs = Math.max(10, Math.min(afterMs, this.#requeueAfterMs ?? Infinity));
  }

  start(operation: OperationName, plan?: TargetPodPlan): void {
    this.#start.push(plan ? { operation, plan } : { operation });
  }

  /** Starts an operation that has not run yet, or again when it failed and its wait is over. Returns what is known of it. */
  ensure<Name extends OperationName>(name: Name): Operations[Name] {
    const operation: Operation<unknown> = this.operations[name];
    switch (operation.state) {
      case 'none':
        this.start(name);
        break;
      case 'failed':
        this.#retry(name, operation);
        break;
      case 'running':
      case 'done':
        break;
      default:
        operation satisfies never;
    }
    return this.operations[name];
  }

  /**
   * For what must succeed in the end: ensured for ever. True when it is done. After a few failures the migration says that
   * it is stuck, and why.
   */
  insist(name: OperationName, what: string, hint = ''): boolean {
    const operation: Operation<unknown> = this.ensure(name);
    if (operation.state === 'done') return true;
    if (this.keepsFailing(name)) {
      const { failure } = operation as Extract<Operation<unknown>, { state: 'failed' }>;
      this.stuck({ ...failure, hint: [failure.hint, hint].filter(Boolean).join(' ') }, what);
    }
    return false;
  }

  /** It has failed so often that waiting alone may not help. */
  keepsFailing(name: OperationName, attempts = STUCK_AFTER_ATTEMPTS): boolean {
    const operation: Operation<unknown> = this.operations[name];
    return operation.state === 'failed' && operation.attempts >= attempts;
  }

  /** For what only tidies up: true when it is done or has failed so often that it is left. */
  tidied(name: OperationName): boolean {
    const operation: Operation<unknown> = this.operations[name];
    if (operation.state === 'done') return true;
    if (operation.state === 'failed') {
      const { attempts, failure } = operation;
      // An internal error may be anything, and may be gone the next time; a refusal stays one.
      if (attempts >= TIDY_ATTEMPTS || !(failure.retryable || failure.reason === 'Internal')) return true;
    }
    this.ensure(name);
    return false;
  }

  stuck(
    failure: Pick<Failure, 'reason' | 'message' | 'hint'> | { reason: string; message: string; hint: string },
    what: string,
  ): void {
    const message = `${what} does not succeed: ${failure.message} It is tried again and again.`;
    if (!this.has('Stuck')) this.event('migration', 'Warning', 'Stuck', message);
    this.condition('Stuck', 'True', failure.reason, `${message} ${failure.hint}`.trim());
    this.set({ message });
  }

  /** Takes back what stuck() said. */
  unstuck(): void {
    if (this.has('Stuck')) {
      this.condition('Stuck', 'False', REASON.Continues, 'What kept the migration from going on is over.');
    }
  }

  progress(progress: Progress | undefined): void {
    if (!progress) return;
    const step = STEP_NAMES[progress.step];
    const since =
      this.status.progress?.step === step && this.status.progress.since
        ? this.status.progress.since
        : isoTime(this.now);
    this.set({
      progress: {
        step,
        since,
        bytesDone: Number(progress.bytesDone),
        ...(progress.bytesTotal > 0n ? { bytesTotal: Number(progress.bytesTotal) } : {}),
      },
    });
  }

  /**
   * Turns to rollback because of a failure. Whether the source may run on is decided there, by the claim alone; here it is
   * only written down why.
   */
  rollBack(failure: Failure): void {
    if (this.has('RollingBack')) return;
    const log = failure.log.trim().split('\n').slice(-20).join('\n').slice(-2048);
    this.condition(
      'RollingBack',
      'True',
      failure.reason,
      log ? `${failure.message}\n${log}` : failure.message,
    );
    this.set({
      reason: failure.reason,
      message: `Rolling back: ${failure.message}`,
      ...(failure.hint ? { hint: failure.hint } : {}),
    });
    this.event('migration', 'Warning', failure.reason, `Rolling back: ${failure.message}`);
    this.again();
  }

  decision(): Decision {
    return {
      status: this.status,
      barrier: this.#barrier,
      finalizer: this.finalizer,
      start: this.#start,
      events: this.#events,
      again: this.#again,
      requeueAfterMs: this.#requeueAfterMs,
    };
  }

  #retry(name: OperationName, operation: Extract<Operation<unknown>, { state: 'failed' }>): void {
    const wait = backoffMs(operation.attempts, { initialMs: 200, maxMs: 10_000, random: () => 0 });
    const left = operation.at + wait - this.now;
    if (left <= 0) this.start(name);
    else this.requeue(left);
  }
}

/** The failure that a migration that rolls back will end with, as it was written down. */
export function recordedFailure(status: PodMigrationStatus): {
  reason: string;
  message: string;
  log: string;
} {
  const condition = findCondition(status.conditions, 'RollingBack');
  const [message = 'The migration failed.', ...log] = (condition?.message ?? '').split('\n');
  return { reason: condition?.reason ?? 'Internal', message, log: log.join('\n') };
}
