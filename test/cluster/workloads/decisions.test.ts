/** The pure parts of the imitated controllers, where a recording would need luck or patience. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../../../common/kube/types.js';
import { bounds } from './deployment-bounds.js';
import { Expectations } from './expectations.js';
import { compressIndexes } from './job-index.js';
import { decideJob, trackingFinalizer } from './job-decide.js';
import { podsToDelete } from './ranking.js';
import { slowStart, SlowStartError } from './shell.js';
import { decideStatefulSet } from './statefulset-decide.js';
import type { Deployment, Job, StatefulSet } from './types.js';

const now = Date.parse('2026-01-01T12:00:00Z');
const ago = (seconds: number): string => new Date(now - seconds * 1000).toISOString();

interface PodWish {
  node?: string;
  phase?: string;
  ready?: number | false;
  restarts?: number;
  created?: number;
  cost?: string;
}

function pod(name: string, wish: PodWish = {}): Pod {
  const { node = 'n', phase = 'Running', ready = 100, restarts = 0, created = 100, cost } = wish;
  return {
    metadata: {
      name,
      uid: name,
      creationTimestamp: ago(created),
      ...(cost ? { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } } : {}),
    },
    spec: { ...(node ? { nodeName: node } : {}), containers: [] },
    status: {
      phase,
      conditions:
        ready === false
          ? [{ type: 'Ready', status: 'False' }]
          : [{ type: 'Ready', status: 'True', lastTransitionTime: ago(ready) }],
      containerStatuses: [{ restartCount: restarts }],
    },
  } as unknown as Pod;
}

describe('which pods go first', () => {
  const first = (pods: Pod[], related = pods): string | undefined =>
    podsToDelete(pods, related, 1, now)[0]?.metadata.name;

  test('without a node before with one, pending before running, not ready before ready', () => {
    assert.equal(
      first([pod('bound', { ready: false }), pod('unbound', { node: '', phase: 'Pending' })]),
      'unbound',
    );
    assert.equal(
      first([pod('running', { ready: false }), pod('pending', { phase: 'Pending', ready: false })]),
      'pending',
    );
    assert.equal(first([pod('ready'), pod('unready', { ready: false })]), 'unready');
  });

  test('readiness counts before cost, cost before anything else', () => {
    assert.equal(first([pod('cheap', { cost: '-5' }), pod('unready', { ready: false })]), 'unready');
    assert.equal(first([pod('crashing', { restarts: 9 }), pod('cheap', { cost: '-5' })]), 'cheap');
  });

  test('on the fuller node, with pods of related sets counted', () => {
    const pods = [pod('a', { node: 'empty' }), pod('b', { node: 'full' })];
    assert.equal(first(pods, [...pods, pod('other', { node: 'full' })]), 'b');
  });

  test('ready for a shorter time, restarted more often, created later', () => {
    assert.equal(first([pod('old', { ready: 1000 }), pod('young', { ready: 5 })]), 'young');
    assert.equal(first([pod('calm'), pod('restless', { restarts: 2 })]), 'restless');
    assert.equal(first([pod('first', { created: 5000 }), pod('last', { created: 50 })]), 'last');
  });
});

test('what was done and is not seen yet is waited for, at most five minutes', () => {
  let time = 0;
  const expectations = new Expectations(() => time);
  expectations.expectCreations('ns/web', 2);
  expectations.creationSeen('ns/web');
  assert.equal(expectations.areFulfilled('ns/web'), false);
  expectations.creationSeen('ns/web');
  assert.equal(expectations.areFulfilled('ns/web'), true);
  expectations.expectDeletions('ns/web', ['uid']);
  expectations.deletionSeen('ns/web', 'another');
  assert.equal(expectations.areFulfilled('ns/web'), false);
  time = 5 * 60_000;
  assert.equal(expectations.areFulfilled('ns/web'), true);
});

test('batches double, and a refusal ends them', async () => {
  const calls: number[] = [];
  await slowStart(10, async (i) => calls.push(i));
  assert.equal(calls.length, 10);
  let asked = 0;
  const refused = slowStart(10, () => {
    asked++;
    return asked > 1 ? Promise.reject(new Error('quota')) : Promise.resolve();
  });
  await assert.rejects(refused, (error) => error instanceof SlowStartError && error.done === 1);
  assert.equal(asked, 3, 'one, then two, and no third batch');
});

test('a rollout may always move: surge rounds up, unavailability down, and not both are 0', () => {
  const of = (replicas: number, maxSurge: unknown, maxUnavailable: unknown) =>
    bounds({
      spec: { replicas, strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } } },
    } as unknown as Deployment);
  assert.deepEqual(of(3, '25%', '25%'), { max: 4, minAvailable: 3, maxUnavailable: 0 });
  assert.deepEqual(of(3, 0, '10%'), { max: 3, minAvailable: 2, maxUnavailable: 1 });
});

test('a StatefulSet makes nothing beyond a pod that is not ready, and scales down from the top', () => {
  const set = (replicas: number) =>
    ({
      metadata: { name: 'db' },
      spec: { replicas, updateStrategy: { type: 'RollingUpdate' } },
    }) as StatefulSet;
  const decide = (replicas: number, pods: Pod[]) =>
    decideStatefulSet({ set: set(replicas), pods, current: 'r', update: 'r' }, now);
  assert.deepEqual(decide(3, [pod('db-0', { ready: false })]), []);
  const [created] = decide(3, [pod('db-0')]);
  assert.ok(created?.do === 'create' && created.ordinal === 1);
  const [removed] = decide(1, [pod('db-0'), pod('db-1'), pod('db-2')]);
  assert.ok(removed?.do === 'delete' && removed.pod.metadata.name === 'db-2');
});

describe('Jobs', () => {
  const job = (spec: object, status: object = {}): Job =>
    ({
      metadata: { name: 'j' },
      spec: { parallelism: 1, completions: 1, backoffLimit: 6, template: {}, ...spec },
      status,
    }) as unknown as Job;
  const ended = (name: string, phase: string, secondsAgo: number): Pod =>
    ({
      metadata: { name, uid: name, finalizers: [trackingFinalizer] },
      status: {
        phase,
        containerStatuses: [{ state: { terminated: { finishedAt: ago(secondsAgo) } } }],
      },
    }) as unknown as Pod;

  test('a failed pod is replaced after a while that doubles', () => {
    const waits = (pods: Pod[]) => decideJob(job({}), pods, 10_000, now).afterMs;
    assert.equal(waits([ended('a', 'Failed', 4)]), 6000);
    assert.equal(waits([ended('a', 'Failed', 40), ended('b', 'Failed', 4)]), 16_000);
    assert.equal(decideJob(job({}), [ended('a', 'Failed', 11)], 10_000, now).create, 1);
  });

  test('a pod is counted once: the finalizer says whether it was', () => {
    const { finalizers: _counted, ...metadata } = ended('a', 'Succeeded', 1).metadata;
    const counted = { ...ended('a', 'Succeeded', 1), metadata };
    const { status } = decideJob(job({ completions: 3 }, { succeeded: 1 }), [counted], 10_000, now);
    assert.equal(status.succeeded, 1);
  });

  test('completed indexes are told as ranges', () => {
    assert.equal(compressIndexes(new Set([7, 1, 3, 4, 5, 0])), '0,1,3-5,7');
  });
});
