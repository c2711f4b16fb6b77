/**
 * The decisions about a restore against a model of the world: one agent, an API server, a network that loses requests and
 * answers, and a controller that dies at any moment and forgets everything that was not recorded. Simulated, but for decide().
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Claim, RestoreResult, TargetState } from '../../../proto/gen/lpm/v1/agent.js';
import { failureOf, type Failure } from '../../agents/failure.js';
import { aMigration, aPod } from '../build.testing.js';
import { decide, isFinal } from '../decide.js';
import {
  noOperations,
  type Decision,
  type Observed,
  type Operation,
  type OperationName,
  type Operations,
  type PodMigrationStatus,
} from '../observed.js';
import { savedFacts } from './facts.testing.js';

type Outcome = 'works' | 'lost request' | 'lost answer' | 'fails';

const nightly = { kind: 'PodCheckpoint', name: 'nightly' } as const;
const MAY_START: OperationName[] = ['createTarget', 'restore', 'revoke', 'deleteTarget', 'discardTarget'];

const LOST = failureOf('AgentNotReachable', 'The connection was lost.');

class World {
  now = Date.parse('2030-01-01T00:00:00Z');
  target = { created: false, executed: false, claim: Claim.CLAIM_NONE };
  /** Its agent answers nothing. */
  silent = false;
  wished: { deleted?: boolean; canceled?: boolean } = {};
  statuses: PodMigrationStatus[] = [{}];
  operations: Operations = noOperations();
  readonly phases: string[] = [];

  get status(): PodMigrationStatus {
    return this.statuses.at(-1)!;
  }

  observe(): Observed {
    const migration = aMigration({
      fromCheckpoint: nightly,
      ...(this.wished.canceled ? { cancel: true } : {}),
    });
    migration.status = this.status;
    if (this.wished.deleted) migration.metadata.deletionTimestamp = '2030-01-01T00:00:00Z';
    const { created, executed, claim } = this.target;
    return {
      now: this.now,
      migration,
      source: { pod: undefined },
      target: {
        pod: created
          ? aPod((pod) => {
              Object.assign(pod.metadata, { name: 'counter-restored', uid: 'target-uid' });
              pod.spec.nodeName = 'k8s-master';
            })
          : undefined,
        state: this.silent
          ? { failure: LOST }
          : {
              value: TargetState.fromPartial({
                claim,
                containers: created
                  ? [
                      {
                        name: 'counter',
                        waiting: !executed,
                        waitLeft: { seconds: 90n },
                        attempted: executed,
                        completed: executed,
                      },
                    ]
                  : [],
              }),
            },
      },
      checkpointUid: this.status.podCheckpointUID,
      operations: this.operations,
      saved: savedFacts({ migration }),
    };
  }

  record(decision: Decision): void {
    if (decision.status !== this.status) this.statuses.push(decision.status);
    if (decision.barrier || isFinal({ ...aMigration(), status: decision.status }))
      this.statuses = [decision.status];
    for (const { phase } of decision.status.phaseTransitions ?? [])
      if (!this.phases.includes(phase)) this.phases.push(phase);
  }

  restart(arrived: number): void {
    this.statuses = [this.statuses[Math.min(arrived, this.statuses.length - 1)]!];
    this.operations = noOperations();
  }

  run(name: OperationName, outcome: Outcome): void {
    assert.ok(MAY_START.includes(name), `${name}: nothing but the new pod is touched`);
    const old: Operation<unknown> = this.operations[name];
    const attempts = old.state === 'failed' ? old.attempts + 1 : 1;
    const firstAt = old.state === 'failed' ? old.firstAt : this.now;
    const set = (operation: Operation<unknown>) =>
      (this.operations = { ...this.operations, [name]: operation });
    const fail = (failure: Failure) => set({ state: 'failed', failure, at: this.now, firstAt, attempts });
    const unheard = this.silent && ['restore', 'revoke', 'discardTarget'].includes(name);
    if (unheard || outcome === 'lost request') return void fail(LOST);
    if (outcome === 'fails' && ['createTarget', 'restore'].includes(name))
      return void fail(failureOf('ArtifactInvalid', 'It failed.'));
    const value = this.#effect(name);
    if (outcome === 'lost answer') return void fail(LOST);
    set({ state: 'done', value, at: this.now });
  }

  #effect(name: OperationName): unknown {
    const { target } = this;
    switch (name) {
      case 'createTarget':
        target.created = true;
        return { uid: 'target-uid', changes: [], differences: [] };
      case 'restore':
        assert.ok(
          this.phases.includes('MigrationInProgress'),
          'it is written down before the agent is asked',
        );
        if (target.claim !== Claim.CLAIM_REVOKED && target.created) {
          target.claim = Claim.CLAIM_COMMITTED;
          target.executed = true;
        }
        return RestoreResult.fromPartial({ claim: target.claim, bytesTransferred: 100n });
      case 'revoke':
        if (!target.executed) target.claim = Claim.CLAIM_REVOKED;
        return target.claim;
      case 'deleteTarget':
        assert.ok(!target.executed || this.wished.canceled || this.wished.deleted, 'what runs is kept');
        target.created = false;
        return undefined;
      default:
        return undefined;
    }
  }
}

function round(world: World, outcomes: (operation: OperationName) => Outcome): void {
  for (let turn = 0; ; turn += 1) {
    assert.ok(turn < 20, 'decides for ever');
    const decision = decide(world.observe());
    world.record(decision);
    for (const { operation } of decision.start) world.run(operation, outcomes(operation));
    if (!decision.again) return;
  }
}

function finish(world: World): void {
  for (let turn = 0; turn < 100 && !isFinal(world.observe().migration); turn += 1) {
    world.now += 15_000;
    round(world, () => 'works');
  }
  assert.ok(isFinal(world.observe().migration), `never ended: ${JSON.stringify(world.status)}`);
}

test('without trouble: Pending, MigrationInProgress, RestoreInProgress, Succeeded, and no downtime', () => {
  const world = new World();
  for (let turn = 0; turn < 30 && !isFinal(world.observe().migration); turn += 1) {
    world.now += 40;
    round(world, () => 'works');
  }
  assert.deepEqual(
    world.status.phaseTransitions?.map(({ phase }) => phase),
    ['Pending', 'MigrationInProgress', 'RestoreInProgress', 'Succeeded'],
  );
  assert.equal(world.status.downtimeMilliseconds, undefined);
  assert.equal(
    world.status.message,
    'Pod counter-restored continues from PodCheckpoint nightly on node k8s-master.',
  );
});

const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('round' as const),
      outcomes: fc.array(
        fc.constantFrom<Outcome>('works', 'works', 'works', 'lost request', 'lost answer', 'fails'),
        { minLength: 1, maxLength: 4 },
      ),
      ms: fc.integer({ min: 0, max: 4000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('restart' as const), arrived: fc.integer({ min: 0, max: 5 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'delete' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'cancel' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'wait' as const }) },
);

test('whatever is lost, fails, dies or is given up: every restore ends, and its outcome is what is the case', () => {
  const ends = { Succeeded: 0, Failed: 0 };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const world = new World();
      for (const one of steps) {
        if (one.kind === 'round') {
          world.now += one.ms;
          let next = 0;
          round(world, () => one.outcomes[next++ % one.outcomes.length]!);
        } else if (one.kind === 'restart') world.restart(one.arrived);
        else if (one.kind === 'delete') world.wished.deleted = true;
        else if (one.kind === 'cancel') world.wished.canceled = true;
        else world.now += 700_000;
      }
      finish(world);
      const phase = world.status.phase as 'Succeeded' | 'Failed';
      ends[phase] += 1;
      if (phase === 'Succeeded') assert.ok(world.target.executed && world.target.created, 'it runs');
      else {
        assert.ok(!world.target.created, 'the pod is gone');
        assert.ok(world.status.reason, 'a failure has a reason');
        const unasked = /could not be asked/.test(world.status.message ?? '');
        assert.ok(!world.target.executed || unasked, 'nothing has run, or it is said that nobody knows');
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(ends.Succeeded > 50 && ends.Failed > 50, `both ends were seen: ${JSON.stringify(ends)}`);
});

function advance(world: World, done: () => boolean, outcome: (operation: OperationName) => Outcome): void {
  for (let turn = 0; !done(); turn += 1) {
    assert.ok(turn < 50, 'does not get there');
    world.now += 100;
    round(world, outcome);
  }
}

/** A world in which the agent has restored the pod, but its node answers nothing from then on. */
function silent(): World {
  const world = new World();
  advance(
    world,
    () => world.target.executed,
    (operation) => (operation === 'restore' ? 'lost answer' : 'works'),
  );
  world.silent = true;
  for (let turn = 0; turn < 8; turn += 1) {
    world.now += 15_000;
    round(world, () => 'works');
  }
  return world;
}

test('a node that cannot be asked after it may have executed the pod: Stuck, and the pod is left alone', () => {
  const world = silent();
  const stuck = world.status.conditions?.find(({ type }) => type === 'Stuck');
  assert.equal(stuck?.status, 'True');
  assert.match(
    stuck.message,
    /kubectl migrate resolve counter-migration .*--keep source if .*--keep target if/,
  );
  assert.equal(world.target.created, true);
  world.silent = false;
  finish(world);
  assert.equal(world.status.phase, 'Succeeded', 'it tells that it has executed');
});

for (const [what, how] of [
  ['its pod is deleted', (world: World) => (world.target.created = false)],
  ['it is canceled', (world: World) => (world.wished.deleted = true)],
] as const) {
  test(`a node that cannot be asked is not waited for once ${what}`, () => {
    const world = new World();
    advance(
      world,
      () => world.phases.includes('MigrationInProgress'),
      (operation) => (operation === 'restore' ? 'lost request' : 'works'),
    );
    how(world);
    world.silent = true;
    finish(world);
    assert.equal(world.status.phase, 'Failed');
    assert.match(world.status.message ?? '', /Node k8s-master could not be asked/);
    assert.equal(world.target.created, false);
    assert.notEqual(world.status.conditions?.find(({ type }) => type === 'Stuck')?.status, 'True');
  });
}
