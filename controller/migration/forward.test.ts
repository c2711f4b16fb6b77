import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import { aMigration, aPod } from './build.testing.js';
import { decide } from './decide.js';
import { noOperations, type Decision, type Observed } from './observed.js';

const COMMITTED = '2030-01-01T00:00:00Z';
const done = { state: 'done', value: undefined, at: 0 } as const;

/** A migration after its commit whose source has no process any more, but an object. */
function remaining(spec: Partial<PodMigration['spec']> = {}, finalizers?: string[]): Observed {
  const migration = aMigration(spec);
  migration.status = {
    phase: 'RestoreInProgress',
    sourceNode: 'k8s-worker',
    targetNode: 'k8s-master',
    restoredPodName: 'counter-restored',
    conditions: [
      { type: 'Committed', status: 'True', reason: 'Committed', message: '', lastTransitionTime: COMMITTED },
    ],
  };
  const pod = aPod(({ metadata }) => {
    metadata.deletionTimestamp = COMMITTED;
    if (finalizers) metadata.finalizers = finalizers;
  });
  return {
    now: Date.parse(COMMITTED) + 91_000,
    migration,
    source: { pod },
    target: { pod: aPod(({ metadata }) => (metadata.name = 'counter-restored')) },
    checkpointUid: undefined,
    operations: { ...noOperations(), deleteSource: done, endSource: done, discardTarget: done },
  };
}

const condition = ({ status }: Decision, type: string) => status.conditions?.find((one) => one.type === type);
const starts = (decision: Decision) => decision.start.map(({ operation }) => operation);

/** The same a moment later, with what was decided written down. */
function next(observed: Observed, { status }: Decision): Observed {
  const { migration, now } = observed;
  return { ...observed, now: now + 1000, migration: { ...migration, status } };
}

test('a source whose object remains is waited for, then said to be stuck, with what to check and how to decide', () => {
  const observed = remaining();
  const early = decide({ ...observed, now: Date.parse(COMMITTED) + 89_000 });
  assert.equal(condition(early, 'Stuck'), undefined);
  const late = decide(observed);
  const stuck = condition(late, 'Stuck');
  assert.equal(stuck?.reason, 'SourceRemains');
  assert.equal(
    stuck.message,
    'Ending the source does not succeed: Pod counter has no process any more, but its object is still there. ' +
      'It is tried again and again. Does the kubelet of node k8s-worker work? kubectl describe pod counter -n default. ' +
      'If it stays so, decide yourself: kubectl migrate resolve counter-migration -n default with ' +
      '--keep target if the kubelet of node k8s-worker will not confirm its deletion any more.',
  );
  assert.ok(!starts(late).includes('deleteSource'), 'nobody has decided');
});

test('a person who does not wait for the kubelet has the object removed by force, and the migration goes on', () => {
  const observed = remaining({ resolution: 'Target' });
  const first = decide(observed);
  assert.equal(condition(first, 'Resolved'), undefined, 'it counts only once the migration is stuck');
  const second = decide(next(observed, first));
  assert.equal(condition(second, 'Resolved')?.reason, 'KeepTarget');
  assert.ok(second.barrier && starts(second).includes('deleteSource'));
  const gone = { ...next(observed, second), source: { pod: undefined } };
  const third = decide(gone);
  assert.equal(condition(third, 'SourceEnded')?.status, 'True');
  assert.equal(condition(third, 'Stuck')?.status, 'False');
});

test('finalizers of somebody else are named, and a person may leave the object to them', () => {
  const observed = remaining({}, ['example.com/backup']);
  const first = decide(observed);
  assert.match(
    condition(first, 'Stuck')?.message ?? '',
    /It has finalizers \(example\.com\/backup\), which .* --keep target if its object may stay until they are removed\.$/,
  );
  const decided = next(observed, first);
  decided.migration.spec.resolution = 'Target';
  const second = decide(decided);
  assert.ok(!starts(second).includes('deleteSource'), 'force does not remove finalizers');
  assert.equal(condition(second, 'SourceEnded')?.status, 'True');
  assert.deepEqual(second.status.warnings, [
    'The object of pod counter stays until its finalizers (example.com/backup) are removed.',
  ]);
});

test('the source cannot be kept, whatever remains of it', () => {
  const observed = remaining({ resolution: 'Source' });
  const second = decide(next(observed, decide(observed)));
  assert.equal(condition(second, 'Resolved')?.reason, 'NotPossible');
  assert.ok(!starts(second).includes('deleteSource'));
});
