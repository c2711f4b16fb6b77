import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NO_LIMITS, retention, type Finished, type Limits } from './retention.js';

let serial = 0;
const finished = (change: Partial<Finished> = {}): Finished => {
  serial += 1;
  return {
    kind: 'PodCheckpoint',
    namespace: 'default',
    name: `checkpoint-${serial}`,
    uid: `uid-${String(serial).padStart(6, '0')}`,
    podName: 'counter',
    phase: 'Succeeded',
    finishedAt: serial * 1000,
    sizeBytes: 100,
    retained: false,
    inUse: false,
    ...change,
  };
};
const names = (all: Finished[], limits: Partial<Limits>, now = 1e9) =>
  retention(all, { ...NO_LIMITS, ...limits }, now).remove.map(({ checkpoint }) => all.indexOf(checkpoint));

test('of a pod the newest are kept, whatever other pods have', () => {
  const all = [
    finished(),
    finished({ podName: 'other' }),
    finished(),
    finished(),
    finished({ namespace: 'elsewhere' }),
  ];
  assert.deepEqual(names(all, { perPod: 2 }), [0]);
  assert.deepEqual(names(all, { perNamespace: 2 }), [0, 1]);
  assert.deepEqual(names(all, { perPod: 2, perNamespace: 3 }), [0]);
});

test('the total is brought below the limit from the oldest on', () => {
  const all = [finished({ sizeBytes: 500 }), finished({ sizeBytes: 10 }), finished({ sizeBytes: 300 })];
  assert.deepEqual(names(all, { totalBytes: 310 }), [0]);
  assert.deepEqual(names(all, { totalBytes: 309 }), [0, 1]);
});

test('one whose time is over goes, also a failed one and one that is retained; its archive is another matter', () => {
  const all = [
    finished({ finishedAt: 1000, ttlSeconds: 60 }),
    finished({ finishedAt: 1000, ttlSeconds: 60, phase: 'Failed' }),
    finished({ finishedAt: 1000, ttlSeconds: 60, retained: true }),
    finished({ finishedAt: 1000, ttlSeconds: 120 }),
  ];
  assert.deepEqual(names(all, {}, 61_000), [0, 1, 2]);
  assert.equal(retention(all, NO_LIMITS, 61_000).nextAt, 121_000);
  assert.deepEqual(names(all, {}, 60_999), []);
});

test('without limits and times everything stays', () => {
  assert.deepEqual(retention([finished(), finished()], NO_LIMITS, 1e9), { remove: [], nextAt: undefined });
});

test('whatever there is: nothing in use goes, the oldest go first, and what can be within the limits is', () => {
  const one = fc.record({
    podName: fc.constantFrom('a', 'b'),
    namespace: fc.constantFrom('x', 'y'),
    phase: fc.constantFrom('Succeeded' as const, 'Failed' as const),
    finishedAt: fc.integer({ min: 0, max: 20 }),
    sizeBytes: fc.integer({ min: 0, max: 50 }),
    ttlSeconds: fc.option(fc.integer({ min: 0, max: 1 }), { nil: undefined }),
    retained: fc.boolean(),
    inUse: fc.boolean(),
  });
  const limits = fc.record({
    perPod: fc.integer({ min: 0, max: 4 }),
    perNamespace: fc.integer({ min: 0, max: 4 }),
    totalBytes: fc.integer({ min: 0, max: 200 }),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 20 }), limits, (specs, limit) => {
      const now = 500;
      const all = specs.map((spec) => {
        const { ttlSeconds, ...rest } = spec;
        return finished({ ...rest, ...(ttlSeconds === undefined ? {} : { ttlSeconds }) });
      });
      const { remove } = retention(all, limit, now);
      const removed = new Set(remove.map(({ checkpoint }) => checkpoint));
      assert.equal(removed.size, remove.length, 'none is removed twice');
      for (const { checkpoint, reason } of remove) {
        assert.ok(!checkpoint.inUse);
        if (reason === 'Retention') assert.ok(!checkpoint.retained && checkpoint.phase === 'Succeeded');
        else assert.ok(checkpoint.finishedAt + checkpoint.ttlSeconds! * 1000 <= now);
      }
      const counted = all.filter(
        (each) => !removed.has(each) && each.phase === 'Succeeded' && !each.retained,
      );
      const check = (bound: number, members: Finished[], sum: number) => {
        if (bound > 0 && sum > bound)
          assert.ok(
            members.every(({ inUse }) => inUse),
            'only what is in use is too much',
          );
      };
      for (const namespace of ['x', 'y']) {
        const inNamespace = counted.filter((each) => each.namespace === namespace);
        check(limit.perNamespace, inNamespace, inNamespace.length);
        for (const podName of ['a', 'b']) {
          const ofPod = inNamespace.filter((each) => each.podName === podName);
          check(limit.perPod, ofPod, ofPod.length);
          // Within a pod all limits go from the oldest on.
          const newestGone = Math.max(
            -1,
            ...remove
              .filter(
                ({ checkpoint: each, reason }) =>
                  reason === 'Retention' && each.namespace === namespace && each.podName === podName,
              )
              .map(({ checkpoint }) => checkpoint.finishedAt),
          );
          for (const each of ofPod) assert.ok(each.inUse || each.finishedAt >= newestGone);
        }
      }
      check(
        limit.totalBytes,
        counted,
        counted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      );
    }),
    { numRuns: 500 },
  );
});
