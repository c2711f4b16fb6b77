import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node, Pod } from '../../../common/kube/types.js';
import { judge, type OwnerState } from './garbage-decide.js';
import { changedTaints, mustLeave, type Taint } from './node-taints.js';

const owners = (...states: OwnerState[]) =>
  states.map((state, n) => ({
    reference: { apiVersion: 'v1', kind: 'ConfigMap', name: `owner-${n}`, uid: `u${n}` },
    state,
  }));

test('an object stays while an owner lives, or one that nobody can tell of', () => {
  assert.deepEqual(judge(owners('alive'), [], false), { action: 'keep' });
  assert.deepEqual(judge(owners('unknown'), [], false), { action: 'keep' });
  assert.deepEqual(judge([], [], true), { action: 'keep' });
});

test('references to owners that are gone are dropped while another lives', () => {
  const [, second] = owners('gone', 'alive');
  assert.deepEqual(judge(owners('gone', 'alive'), [], false), {
    action: 'release',
    left: [second!.reference],
  });
  assert.equal(judge(owners('waits', 'unknown'), [], true).action, 'release');
});

test('an object without owners goes, in the way that was asked of it before', () => {
  const policy = (finalizers: string[], states: OwnerState[] = ['gone'], hasDependents = false) => {
    const verdict = judge(owners(...states), finalizers, hasDependents);
    return verdict.action === 'delete' && verdict.policy;
  };
  assert.equal(policy([]), 'Background');
  assert.equal(policy(['orphan']), 'Orphan');
  assert.equal(policy(['foregroundDeletion']), 'Foreground');
  assert.equal(policy([], ['waits'], true), 'Foreground');
  assert.equal(policy([], ['waits'], false), 'Background');
});

const now = Date.parse('2026-01-01T00:01:00Z');
const node = (ready: string | undefined, taints: Taint[] = [], unschedulable = false): Node =>
  ({
    metadata: { name: 'n' },
    spec: { taints, unschedulable },
    status: { conditions: ready ? [{ type: 'Ready', status: ready }] : [] },
  }) as unknown as Node;
const words = (taints: Taint[] | undefined): string[] | undefined =>
  taints?.map(({ key, effect }) => `${key.split('/')[1] ?? key}:${effect}`);

test('a node is tainted by its condition, and other taints stay', () => {
  const own: Taint = { key: 'mine', effect: 'NoSchedule' };
  assert.equal(changedTaints(node('True', [own]), now), undefined);
  assert.deepEqual(words(changedTaints(node('Unknown', [own]), now)), [
    'mine:NoSchedule',
    'unreachable:NoSchedule',
    'unreachable:NoExecute',
  ]);
  assert.deepEqual(words(changedTaints(node(undefined), now)), ['not-ready:NoSchedule']);
  assert.deepEqual(words(changedTaints(node('True', [], true), now)), ['unschedulable:NoSchedule']);
  const lost = changedTaints(node('Unknown'), now)!;
  assert.deepEqual(changedTaints(node('True', lost), now), []);
});

test('a pod leaves a node whose taint it does not tolerate, or no longer', () => {
  const taint: Taint = { key: 'gone', effect: 'NoExecute', timeAdded: '2026-01-01T00:00:00Z' };
  const pod = (...tolerations: object[]): Pod =>
    ({ metadata: { name: 'p' }, spec: { tolerations } }) as never;
  const tolerates = { key: 'gone', operator: 'Exists', effect: 'NoExecute' };
  assert.equal(mustLeave(pod(), [taint], now), true);
  assert.equal(mustLeave(pod(tolerates), [taint], now), false);
  assert.equal(mustLeave(pod({ ...tolerates, tolerationSeconds: 30 }), [taint], now), true);
  assert.equal(mustLeave(pod({ ...tolerates, tolerationSeconds: 300 }), [taint], now), false);
  assert.equal(mustLeave(pod(), [{ key: 'k', effect: 'NoSchedule' }], now), false);
});
