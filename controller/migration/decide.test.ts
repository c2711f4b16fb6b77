/**
 * The decisions against a model of the world: two agents, an API server, a network that loses requests and answers, and a
 * controller that dies at any moment and forgets everything that was not recorded. Simulated, but for decide() itself.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Reason } from '../../common/errors.js';
import { CheckpointResult, Claim, RestoreResult, TargetState } from '../../proto/gen/lpm/v1/agent.js';
import { failureOf, type Failure } from '../agents/failure.js';
import { aMigration, aPod, someFacts } from './build.testing.js';
import { decide, isFinal } from './decide.js';
import {
  noOperations,
  type Decision,
  type Observed,
  type Operation,
  type OperationName,
  type Operations,
  type PodMigrationStatus,
} from './observed.js';

type Outcome = 'works' | 'lost request' | 'lost answer' | 'fails';

/** Everything outside the controller. */
class World {
  now = Date.parse('2030-01-01T00:00:00Z');
  source = { exists: true, terminating: false, frozen: false, dead: false };
  target = { created: false, terminating: false, executing: false, claim: Claim.CLAIM_NONE };
  checkpointObject = false;
  checkpointDone = false;
  artifacts = false;
  migrationDeleted = false;
  /** Every status since the last one that is known to be recorded. */
  statuses: PodMigrationStatus[] = [{}];
  operations: Operations = noOperations();
  readonly phases: string[] = [];

  get status(): PodMigrationStatus {
    return this.statuses.at(-1)!;
  }

  observe(): Observed {
    const migration = aMigration();
    migration.status = this.status;
    if (this.migrationDeleted) migration.metadata.deletionTimestamp = '2030-01-01T00:00:00Z';
    return {
      now: this.now,
      migration,
      source: {
        pod: this.source.exists
          ? aPod((pod) => {
              if (this.source.terminating) pod.metadata.deletionTimestamp = '2030-01-01T00:00:00Z';
            })
          : undefined,
      },
      target: {
        pod: this.target.created
          ? aPod((pod) => {
              Object.assign(pod.metadata, { name: 'counter-restored', uid: 'target-uid' });
              pod.spec!.nodeName = 'k8s-master';
              if (this.target.terminating) pod.metadata.deletionTimestamp = '2030-01-01T00:00:00Z';
            })
          : undefined,
        state: {
          value: TargetState.fromPartial({
            claim: this.target.claim,
            restoredAt: this.target.executing ? new Date(this.now) : undefined,
            containers: this.target.created
              ? [
                  {
                    name: 'counter',
                    waiting: !this.target.executing,
                    waitLeft: { seconds: 90n },
                    attempted: this.target.executing,
                    completed: this.target.executing,
                  },
                ]
              : [],
          }),
        },
      },
      checkpointUid: this.checkpointObject ? 'checkpoint-uid' : undefined,
      operations: this.operations,
      facts: someFacts({ migration }),
    };
  }

  record(decision: Decision): void {
    if (decision.status !== this.status) this.statuses.push(decision.status);
    if (decision.barrier || isFinal({ ...aMigration(), status: decision.status })) {
      this.statuses = [decision.status];
    }
    for (const { phase } of decision.status.phaseTransitions ?? []) {
      if (!this.phases.includes(phase)) this.phases.push(phase);
    }
  }

  /** The controller dies: what was on its way to the API server may or may not have arrived. */
  restart(arrived: number): void {
    this.statuses = [this.statuses[Math.min(arrived, this.statuses.length - 1)]!];
    this.operations = noOperations();
  }

  run(name: OperationName, outcome: Outcome, reason: Reason): void {
    const old: Operation<unknown> = this.operations[name];
    const attempts = old.state === 'failed' ? old.attempts + 1 : 1;
    const firstAt = old.state === 'failed' ? old.firstAt : this.now;
    const fail = (failure: Failure) =>
      this.#set(name, { state: 'failed', failure, at: this.now, firstAt, attempts });
    const lost = failureOf('AgentNotReachable', 'The connection was lost.');
    if (outcome === 'lost request') return fail(lost);
    // What must succeed in the end does not fail for good: only its requests and answers get lost.
    if (outcome === 'fails' && ['createTarget', 'checkpoint', 'restore'].includes(name)) {
      return fail(failureOf(reason, 'It failed.'));
    }
    const value = this.#effect(name);
    if ('failure' in value) return fail(value.failure);
    if (outcome === 'lost answer') return fail(lost);
    this.#set(name, { state: 'done', value: value.value, at: this.now });
  }

  #set(name: OperationName, operation: Operation<unknown>): void {
    this.operations = { ...this.operations, [name]: operation };
  }

  /** What an operation does to the world; asserts what must never be asked. */
  #effect(name: OperationName): { value: unknown } | { failure: Failure } {
    const { source, target } = this;
    switch (name) {
      case 'createTarget':
        target.created = true;
        return { value: { uid: 'target-uid', changes: [], differences: [] } };
      case 'createCheckpoint':
        this.checkpointObject = true;
        return { value: { uid: 'checkpoint-uid', name: 'counter-migration' } };
      case 'checkpoint':
        assert.ok(!source.dead, 'a source that was ended is not checkpointed');
        if (!source.exists) return { failure: failureOf('PodNotFound', 'gone') };
        source.frozen = true;
        this.checkpointDone = true;
        this.artifacts = true;
        return {
          value: CheckpointResult.fromPartial({ frozenAt: new Date(this.now), totalBytes: 100n, steps: [] }),
        };
      case 'restore':
        assert.ok(this.checkpointDone, 'nothing is restored before there is a checkpoint');
        if (target.claim === Claim.CLAIM_REVOKED) {
          return { value: RestoreResult.fromPartial({ claim: Claim.CLAIM_REVOKED }) };
        }
        assert.ok(source.frozen || source.dead || target.executing, 'restored while the source runs');
        target.claim = Claim.CLAIM_COMMITTED;
        target.executing = true;
        return {
          value: RestoreResult.fromPartial({
            claim: Claim.CLAIM_COMMITTED,
            restoredAt: new Date(this.now),
            bytesTransferred: 100n,
          }),
        };
      case 'revoke':
        if (target.claim === Claim.CLAIM_NONE) target.claim = Claim.CLAIM_REVOKED;
        return { value: target.claim };
      case 'thaw':
        assert.equal(target.claim, Claim.CLAIM_REVOKED, 'thawed without a confirmed revocation');
        source.frozen = false;
        return { value: undefined };
      case 'deleteTarget':
        assert.notEqual(target.claim, Claim.CLAIM_COMMITTED, 'the only copy was deleted');
        target.created = false;
        return { value: undefined };
      case 'deleteSource':
        assert.equal(target.claim, Claim.CLAIM_COMMITTED, 'the source was deleted before the commit');
        source.terminating = source.exists;
        return { value: undefined };
      case 'endSource':
        assert.equal(target.claim, Claim.CLAIM_COMMITTED, 'the source was ended before the commit');
        assert.ok(source.terminating || !source.exists, 'the source was ended before its object was deleted');
        Object.assign(source, { dead: true, exists: false, frozen: false });
        return { value: undefined };
      case 'discardSource':
        assert.ok(
          target.claim === Claim.CLAIM_COMMITTED || !source.frozen,
          'artifacts were removed while they were needed',
        );
        this.artifacts = false;
        return { value: undefined };
      case 'clocks':
        return { value: { source: { offsetMs: 0, errorMs: 1 }, target: { offsetMs: 0, errorMs: 1 } } };
      case 'recordCheckpoint':
      case 'discardTarget':
      case 'discardCheckpoint':
        return { value: undefined };
      default:
        return name satisfies never;
    }
  }

  check(): void {
    const sourceRuns = !this.source.dead && !this.source.frozen;
    assert.ok(!(sourceRuns && this.target.executing), 'two copies run');
    assert.ok(!(this.source.dead && !this.target.executing), 'no copy is left');
  }
}

/** One round of the controller's loop: observe, decide, record, start. */
function round(world: World, outcomes: () => { outcome: Outcome; reason: Reason }): Decision {
  for (let turn = 0; ; turn += 1) {
    assert.ok(turn < 20, 'decides for ever');
    const decision = decide(world.observe());
    world.record(decision);
    for (const { operation } of decision.start) {
      const { outcome, reason } = outcomes();
      world.run(operation, outcome, reason);
      world.check();
    }
    if (!decision.again) return decision;
  }
}

const works = () => ({ outcome: 'works', reason: 'Internal' }) as const;

function finish(world: World): void {
  for (let turn = 0; turn < 300 && !isFinal(world.observe().migration); turn += 1) {
    world.now += 15_000;
    round(world, works);
  }
  assert.ok(isFinal(world.observe().migration), `never ended: ${JSON.stringify(world.status)}`);
}

test('without trouble every phase of the guide is passed, in order, and the message says what was done', () => {
  const world = new World();
  for (let turn = 0; turn < 30 && !isFinal(world.observe().migration); turn += 1) {
    world.now += 40;
    round(world, works);
  }
  assert.deepEqual(
    world.status.phaseTransitions?.map(({ phase }) => phase),
    [
      'Pending',
      'CheckpointInProgress',
      'CheckpointCompleted',
      'MigrationInProgress',
      'RestoreInProgress',
      'Succeeded',
    ],
  );
  assert.match(
    world.status.message ?? '',
    /^Pod counter moved from k8s-worker to k8s-master as counter-restored; \d+ ms of downtime\.$/,
  );
  assert.equal(world.artifacts, false);
});

const reasons: Reason[] = ['CriuDumpFailed', 'CriuRestoreFailed', 'TargetPodRejected', 'Internal'];
const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('round' as const),
      outcomes: fc.array(
        fc.constantFrom<Outcome>('works', 'works', 'works', 'works', 'lost request', 'lost answer', 'fails'),
        { minLength: 1, maxLength: 4 },
      ),
      reason: fc.constantFrom(...reasons),
      ms: fc.integer({ min: 0, max: 4000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('restart' as const), arrived: fc.integer({ min: 0, max: 5 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'delete migration' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'delete source' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'wait' as const }) },
);

test('whatever is lost, fails, dies or is deleted: never two copies, never none, and every migration ends', () => {
  const ends = { Succeeded: 0, Failed: 0 };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const world = new World();
      for (const one of steps) {
        switch (one.kind) {
          case 'round': {
            world.now += one.ms;
            let next = 0;
            round(world, () => ({
              outcome: one.outcomes[next++ % one.outcomes.length]!,
              reason: one.reason,
            }));
            break;
          }
          case 'restart':
            world.restart(one.arrived);
            break;
          case 'delete migration':
            world.migrationDeleted = true;
            break;
          case 'delete source':
            world.source.terminating = true;
            break;
          case 'wait':
            world.now += 700_000;
            break;
          default:
            one satisfies never;
        }
        world.check();
      }
      finish(world);
      world.check();
      const phase = world.status.phase as 'Succeeded' | 'Failed';
      ends[phase] += 1;
      if (phase === 'Succeeded') {
        assert.ok(world.target.executing && world.source.dead);
        assert.equal(world.status.reason, undefined);
      } else {
        assert.ok(
          !world.target.executing && !world.source.dead && !world.source.frozen,
          'the source runs on',
        );
        assert.ok(world.status.reason, 'a failure has a reason');
        assert.ok(!world.target.created, 'the target pod is gone');
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(ends.Succeeded > 50 && ends.Failed > 50, `both ends were seen: ${JSON.stringify(ends)}`);
});

test('nothing is frozen before it is recorded that it may be', () => {
  const world = new World();
  for (let turn = 0; turn < 30; turn += 1) {
    const decision = decide(world.observe());
    if (decision.start.some(({ operation }) => operation === 'checkpoint')) {
      assert.equal(decision.barrier, true);
      assert.ok(decision.status.conditions?.some(({ type }) => type === 'Checkpointed'));
      return;
    }
    world.record(decision);
    for (const { operation } of decision.start) world.run(operation, 'works', 'Internal');
  }
  assert.fail('never froze');
});

test('a target agent that cannot be reached leaves the source frozen and says that it is stuck', () => {
  const world = new World();
  while (world.operations.checkpoint.state !== 'done') round(world, works);
  world.migrationDeleted = true;
  for (let turn = 0; turn < 20; turn += 1) {
    world.now += 15_000;
    round(world, () => ({ outcome: 'lost request', reason: 'Internal' }));
  }
  assert.equal(world.source.frozen, true);
  const stuck = world.status.conditions?.find(({ type }) => type === 'Stuck');
  assert.equal(stuck?.status, 'True');
  assert.match(stuck?.message ?? '', /Revoking the restore on node k8s-master does not succeed/);
  finish(world);
  assert.equal(world.status.phase, 'Failed');
  assert.equal(world.source.frozen, false);
  assert.equal(world.status.conditions?.find(({ type }) => type === 'Stuck')?.status, 'False');
});

test('a refused migration fails at once, with reason, message and hint, and starts nothing', () => {
  const world = new World();
  const observed = world.observe();
  observed.facts = someFacts({ pod: undefined, podNames: ['countr'] });
  const decision = decide(observed);
  assert.equal(decision.status.phase, 'Failed');
  assert.equal(decision.status.reason, 'PodNotFound');
  assert.equal(decision.status.hint, 'Did you mean countr?');
  assert.deepEqual(decision.start, []);
});

test('nothing is frozen while an agent is being replaced; the migration goes on when it is back', () => {
  const world = new World();
  const step = (awaitedAgent?: string): Decision => {
    const decision = decide({ ...world.observe(), ...(awaitedAgent ? { awaitedAgent } : {}) });
    world.record(decision);
    for (const { operation } of decision.start) world.run(operation, 'works', 'Internal');
    return decision;
  };
  for (let turn = 0; turn < 10; turn += 1) step('k8s-worker');
  assert.equal(world.status.phase, 'Pending');
  assert.match(
    world.status.message ?? '',
    /^Waits for the agent on node k8s-worker, which is being replaced/,
  );
  assert.equal(world.source.frozen, false);
  assert.equal(step('k8s-worker').requeueAfterMs, 250);
  for (let turn = 0; turn < 30 && !isFinal(world.observe().migration); turn += 1) step();
  assert.equal(world.status.phase, 'Succeeded');
});

test('a migration that is canceled before it began makes nothing', () => {
  const world = new World();
  const observed = world.observe();
  observed.migration.spec.cancel = true;
  const decision = decide(observed);
  assert.deepEqual(decision.start, []);
  assert.equal(decision.status.reason, 'Canceled');
  assert.equal(decision.status.message, 'Migration counter-migration was canceled before it began.');
});
