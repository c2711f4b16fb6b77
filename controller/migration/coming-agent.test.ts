import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LpmError } from '../../common/errors.js';
import type { Pod } from '../../common/kube/types.js';
import { failureOf } from '../agents/failure.js';
import { decideCheckpoint } from '../checkpoint/decide.js';
import type { Checkpoint } from '../checkpoint/kinds.js';
import { aMigration, aNode, aPod, someFacts } from './build.testing.js';
import { nodeFacts as collectNodeFacts } from './collect-facts.js';
import { comingAgent } from './coming-agent.js';
import { decide } from './decide.js';
import type { MigrationFacts, NodeFacts } from './facts.js';
import { noOperations, type Observed } from './observed.js';
import type { Parts } from '../parts.js';

const SYSTEM = 'system';
const since = '2030-01-01T00:00:00Z';
const here = { namespace: SYSTEM, node: 'k8s-master', now: Date.parse(since) + 60_000 };
const agentPod = (change: (pod: Required<Pick<Pod, 'metadata' | 'spec' | 'status'>>) => void): Pod => {
  const pod = {
    metadata: { name: 'agent-x7', namespace: SYSTEM, labels: { app: 'checkpoint-agent' } },
    spec: { nodeName: 'k8s-master', containers: [] },
    status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: since }] },
  } as unknown as Required<Pick<Pod, 'metadata' | 'spec' | 'status'>>;
  change(pod);
  return pod;
};
const starting = agentPod(({ status }) => (status.conditions = []));
const ending = agentPod(({ metadata }) => (metadata.deletionTimestamp = '2030-01-01T00:00:00Z'));

test('an agent comes when its pod is being started or ended', () => {
  const of = (...pods: Pod[]) => comingAgent(pods, here);
  assert.equal(of(starting), 'Its pod agent-x7 is being started.');
  assert.equal(of(ending), 'Its pod agent-x7 is being ended.');
  assert.equal(of(agentPod(() => {})), undefined, 'one that is ready should answer');
  assert.equal(of(), undefined, 'none is there');
  assert.equal(comingAgent([starting], { ...here, node: 'k8s-worker' }), undefined, 'of another node');
  assert.equal(comingAgent([starting], { ...here, namespace: 'shop' }), undefined, 'of another namespace');
});

test('one that became ready a moment ago is asked again: its connection may still be the one that failed', () => {
  const now = Date.parse(since) + 2000;
  assert.equal(
    comingAgent([agentPod(() => {})], { ...here, now }),
    'Its pod agent-x7 has just become ready.',
  );
});

test('one that was not bound to its node yet is known by what it is meant for', () => {
  const pod = agentPod(({ spec, status }) => {
    delete (spec as { nodeName?: string }).nodeName;
    status.conditions = [];
    spec.affinity = {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [
            { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['k8s-master'] }] },
          ],
        },
      },
    };
  });
  assert.match(comingAgent([pod], here) ?? '', /is being started/);
});

test('one that crashes again and again, or has no image, is not waited for', () => {
  for (const reason of ['CrashLoopBackOff', 'ImagePullBackOff']) {
    const pod = agentPod(({ status }) => {
      status.conditions = [];
      status.containerStatuses = [{ state: { waiting: { reason } } }] as never;
    });
    assert.equal(comingAgent([pod], here), undefined);
  }
});

const away: NodeFacts = {
  name: 'k8s-master',
  node: aNode('k8s-master'),
  agent: {
    failure: failureOf('AgentNotReachable', 'The agent on node k8s-master cannot be reached.', 'Look.'),
  },
  agentComes: 'Its pod agent-x7 is being started.',
};

test('one that becomes ready while it is asked, and has not answered, comes all the same', async () => {
  const ready = agentPod(() => {});
  let looked = 0;
  const parts = {
    namespace: SYSTEM,
    now: () => here.now,
    caches: {
      nodes: { get: () => aNode('k8s-master') },
      pods: { list: () => (looked++ === 0 ? [starting] : [ready]) },
    },
    agents: {
      agent: () => ({
        getNodeInfo: () => Promise.reject(new LpmError('AgentNotReachable', 'It closes every connection.')),
      }),
    },
  } as unknown as Parts;
  const { agentComes } = await collectNodeFacts(parts, 'k8s-master', true);
  assert.equal(looked, 2);
  assert.equal(agentComes, 'Its pod agent-x7 is being started.');
});

const begun = Date.parse(aMigration().metadata.creationTimestamp!);
const observed = (
  facts: Partial<MigrationFacts>,
  afterMs: number,
  spec: Parameters<typeof aMigration>[0] = {},
): Observed => ({
  now: begun + afterMs,
  migration: aMigration(spec),
  source: { pod: undefined },
  target: { pod: undefined },
  checkpointUid: undefined,
  operations: noOperations(),
  facts: someFacts({ migration: aMigration(spec), ...facts }),
});

test('a migration waits for an agent that is just being replaced, and is refused when that takes too long', () => {
  const waiting = decide(observed({ targets: [away] }, 60_000));
  assert.equal(waiting.status.phase, 'Pending');
  assert.equal(
    waiting.status.message,
    'Waits for an agent that is just being replaced. The agent on node k8s-master cannot be reached. Its pod agent-x7 is being started.',
  );
  assert.deepEqual(waiting.start, []);
  const refused = decide(observed({ targets: [away] }, 121_000));
  assert.equal(refused.status.phase, 'Failed');
  assert.equal(refused.status.reason, 'AgentNotReachable');
});

test('it does not wait where something else speaks against it, or nothing is on its way', () => {
  const { agentComes: _, ...gone } = away;
  assert.equal(decide(observed({ targets: [gone] }, 0)).status.phase, 'Failed');
  const terminal = aPod(({ spec }) => (spec.containers[0]!.tty = true));
  assert.equal(decide(observed({ targets: [away], pod: terminal }, 0)).status.phase, 'Failed');
});

test('where the scheduler may choose, it waits only when no node could take the pod and an agent is on its way', () => {
  const any = { targetNode: undefined } as never;
  assert.equal(decide(observed({ targets: [away] }, 0, any)).status.phase, 'Pending');
  const { targets } = someFacts();
  const accepted = decide(observed({ targets: [away, ...targets] }, 0, any));
  assert.deepEqual(
    accepted.start.map(({ operation }) => operation),
    ['createTarget'],
  );
});

test('a preflight waits too, not for as long', () => {
  const looks = { preflightOnly: true };
  assert.equal(decide(observed({ targets: [away] }, 30_000, looks)).status.phase, 'Pending');
  assert.equal(decide(observed({ targets: [away] }, 41_000, looks)).status.phase, 'Failed');
});

test('a checkpoint waits as long as it may take', () => {
  const checkpoint = {
    metadata: { name: 'c1', namespace: 'default', uid: 'u', creationTimestamp: '2030-01-01T00:00:10Z' },
    spec: { podName: 'counter' },
  } as Checkpoint;
  const facts = {
    namespace: 'default',
    podName: 'counter',
    way: 'Agent',
    pod: aPod(),
    podNames: [],
  } as const;
  const decideAt = (now: number) =>
    decideCheckpoint({
      now,
      checkpoint,
      members: [],
      facts: { ...facts, podNames: [], node: away },
      operation: { state: 'none' },
    });
  assert.equal(decideAt(begun + 300_000).do, 'wait');
  assert.equal(decideAt(begun + 601_000).do, 'fail');
});
