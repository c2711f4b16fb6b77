import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withCondition, withPhase } from './conditions.js';

const t0 = Date.parse('2030-01-01T00:00:00.250Z');

test('the transition time of a condition changes only with its status', () => {
  const first = withCondition(undefined, { type: 'A', status: 'False', reason: 'X', message: '1' }, t0, 3);
  assert.equal(first[0]?.lastTransitionTime, '2030-01-01T00:00:00Z');
  assert.equal(first[0]?.observedGeneration, 3);
  const second = withCondition(first, { type: 'A', status: 'False', reason: 'Y', message: '2' }, t0 + 5000);
  assert.equal(second[0]?.lastTransitionTime, '2030-01-01T00:00:00Z');
  assert.equal(second[0]?.reason, 'Y');
  const third = withCondition(second, { type: 'A', status: 'True', reason: 'Z', message: '3' }, t0 + 9000);
  assert.equal(third[0]?.lastTransitionTime, '2030-01-01T00:00:09Z');
  assert.equal(third.length, 1);
});

test('phases are noted once, in order, with their time', () => {
  const pending = withPhase({} as Parameters<typeof withPhase>[0], 'Pending', t0);
  const again = withPhase(pending, 'Pending', t0 + 1);
  const running = withPhase(again, 'Running', t0 + 2);
  assert.deepEqual(running.phaseTransitions, [
    { phase: 'Pending', transitionTime: '2030-01-01T00:00:00.250Z' },
    { phase: 'Running', transitionTime: '2030-01-01T00:00:00.252Z' },
  ]);
});
