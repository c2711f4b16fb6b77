import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node, Pod } from '../../common/kube/types.js';
import { CliError } from '../cli-error.js';
import { judgeMigration } from './judge.js';
import type { Observed, Question } from './observe.js';

const caller = { program: 'kubectl migrate', again: (command: string) => `${command} -n default` };
const question: Question = { namespace: 'default', pod: 'counter', node: 'k8s-master' };
const pod = (over: Partial<Pod> = {}): Pod => ({
  metadata: { name: 'counter', namespace: 'default' },
  spec: { nodeName: 'k8s-worker', containers: [] },
  status: { phase: 'Running' },
  ...over,
});
const node = (over: Partial<Node> = {}): Node => ({
  metadata: { name: 'k8s-master' },
  status: { conditions: [{ type: 'Ready', status: 'True' }] },
  ...over,
});
const fine: Observed = {
  crds: true,
  pod: { found: pod() },
  podElsewhere: [],
  node: { found: node() },
  active: undefined,
  nameTaken: false,
};
const judge = (over: Partial<Observed>, asked: Partial<Question> = {}) =>
  judgeMigration(caller, { ...question, ...asked }, { ...fine, ...over });
const refusal = (over: Partial<Observed>, asked: Partial<Question> = {}): string => {
  try {
    judge(over, asked);
  } catch (error) {
    assert.ok(error instanceof CliError);
    assert.ok(error.hints.length > 0, 'a refusal says what to do next');
    return [error.message, ...error.hints].join('\n');
  }
  return assert.fail('it was not refused');
};

test('a running pod and a ready node are no obstacle', () => {
  assert.deepEqual(judge({}).notes, []);
});

test('the node that the pod runs on is allowed, with a note', () => {
  assert.match(judge({}, { node: 'k8s-worker' }).notes.join(), /runs on k8s-worker already/);
});

test('a mistyped pod is answered with near names', () => {
  const text = refusal({ pod: { found: undefined, others: ['counter-a1', 'web'] } });
  assert.match(text, /There is no pod "counter" in namespace "default"\.\nDid you mean "counter-a1"\?/);
});

test('a pod in another namespace is found', () => {
  const text = refusal({ pod: { found: undefined, others: [] }, podElsewhere: ['shop'] });
  assert.match(text, /There is one in namespace "shop": kubectl migrate … -n shop/);
});

test('an unknown node is answered with near names or with all nodes', () => {
  assert.match(
    refusal({ node: { found: undefined, others: ['k8s-master', 'k8s-worker'] } }, { node: 'k8s-mster' }),
    /There is no node "k8s-mster" in this cluster\.\nDid you mean "k8s-master"\?/,
  );
  assert.match(
    refusal({ node: { found: undefined, others: ['a', 'b'] } }, { node: 'zebra' }),
    /The nodes are: a, b$/,
  );
});

test('a node that is not ready is refused, a cordoned one is not', () => {
  const conditions = [{ type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown' }];
  assert.match(
    refusal({ node: { found: node({ status: { conditions } }) } }),
    /k8s-master is not ready \(NodeStatusUnknown\)/,
  );
  assert.match(
    judge({ node: { found: node({ spec: { unschedulable: true } }) } }).notes.join(),
    /is cordoned/,
  );
});

test('a pod without running processes is refused by its phase', () => {
  assert.match(
    refusal({ pod: { found: pod({ status: { phase: 'Pending' } }) } }),
    /is Pending, not Running.*\n.*kubectl wait/,
  );
  assert.match(
    refusal({ pod: { found: pod({ status: { phase: 'Succeeded' } }) } }),
    /its processes have ended/,
  );
  const deleted = pod({ metadata: { name: 'counter', deletionTimestamp: '2026-01-01T00:00:00Z' } });
  assert.match(refusal({ pod: { found: deleted } }), /is being deleted/);
  const crashing = pod({
    status: {
      phase: 'Running',
      containerStatuses: [
        {
          name: 'app',
          image: 'i',
          imageID: '',
          ready: false,
          restartCount: 3,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
        },
      ],
    },
  });
  assert.match(refusal({ pod: { found: crashing } }), /container "app".*does not run \(CrashLoopBackOff\)/);
});

test('a pod that is being migrated is pointed to its migration', () => {
  const active = {
    apiVersion: 'lpm.my.domain/v1',
    kind: 'PodMigration' as const,
    metadata: { name: 'counter-x7k2p' },
    spec: { podName: 'counter' },
  };
  assert.match(refusal({ active }), /kubectl migrate status counter-x7k2p -w -n default/);
});

test('a taken name for the restored pod is refused', () => {
  assert.match(refusal({ nameTaken: true }, { restoredName: 'web' }), /There is a pod named "web"/);
});

test('without our API nothing else is said', () => {
  assert.match(refusal({ crds: false }), /not installed in this cluster/);
});

test('who may not read nodes can go on, with a note', () => {
  assert.match(judge({ node: { hidden: true } }).notes.join(), /left to the controller/);
});
