import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import { differences } from './difference.js';
import { restoredName } from '../../common/pods/restored-name.js';
import { targetPod } from '../../common/pods/target-pod.js';
import { similarNames } from './names.js';

const migration: PodMigration = {
  apiVersion: 'lpm.my.domain/v1',
  kind: 'PodMigration',
  metadata: { name: 'm', namespace: 'default', uid: 'm-uid' },
  spec: { podName: 'counter', targetNode: 'k8s-master' },
};

const counter: Pod = {
  metadata: {
    name: 'counter',
    namespace: 'default',
    uid: 'source-uid',
    resourceVersion: '7',
    creationTimestamp: '2030-01-01T00:00:00Z',
    labels: { app: 'counter' },
    annotations: { team: 'x', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    finalizers: ['someone/else'],
  },
  spec: {
    nodeName: 'k8s-worker',
    priority: 0,
    initContainers: [{ name: 'setup', image: 'busybox:1.35' }],
    containers: [
      {
        name: 'counter',
        image: 'busybox:1.35',
        lifecycle: {
          postStart: { exec: { command: ['true'] } },
          preStop: { exec: { command: ['sync'] } },
        },
        volumeMounts: [
          { name: 'data', mountPath: '/data' },
          { name: 'kube-api-access-x', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
        ],
      },
    ],
    volumes: [
      { name: 'data', emptyDir: {} },
      { name: 'kube-api-access-x', projected: { sources: [] } },
    ],
  },
  status: { phase: 'Running' },
};

test('the target pod differs from the source only where it must, and says so', () => {
  const { pod, changes } = targetPod(counter, migration, {
    name: 'counter-restored',
    nodeName: 'k8s-master',
  });
  assert.deepEqual(pod.metadata, {
    name: 'counter-restored',
    namespace: 'default',
    labels: { app: 'counter' },
    annotations: {
      team: 'x',
      'lpm.my.domain/migration': 'm-uid',
      'lpm.my.domain/migration-name': 'm',
      'lpm.my.domain/origin': 'counter',
      'lpm.my.domain/source-pod': 'counter',
      'lpm.my.domain/source-pod-uid': 'source-uid',
    },
  });
  assert.deepEqual(pod.spec, {
    nodeName: 'k8s-master',
    runtimeClassName: 'lpm',
    hostname: 'counter',
    containers: [
      {
        name: 'counter',
        image: 'busybox:1.35',
        lifecycle: { preStop: { exec: { command: ['sync'] } } },
        volumeMounts: counter.spec!.containers[0]!.volumeMounts,
      },
    ],
    volumes: counter.spec!.volumes,
  });
  assert.equal(pod.status, undefined);
  assert.equal(changes.length, 5, changes.join('\n'));
});

test('a restored pod that is migrated again keeps its origin and its host name, and changes only its node', () => {
  const first = targetPod(counter, migration, { name: 'counter-restored', nodeName: 'k8s-master' }).pod;
  const again = targetPod(first, migration, { name: 'counter-restored-2', nodeName: 'k8s-worker' });
  assert.equal(again.pod.metadata.annotations?.['lpm.my.domain/origin'], 'counter');
  assert.equal(again.pod.metadata.annotations?.['lpm.my.domain/source-pod'], 'counter-restored');
  assert.equal(again.pod.spec?.hostname, 'counter');
  assert.deepEqual(again.changes, ['nodeName is k8s-worker, as asked for.']);
});

test('a saved pod of which no node is known may go to any node', () => {
  const saved = structuredClone(counter);
  delete saved.spec!.nodeName;
  const { pod, changes } = targetPod(saved, migration, { name: 'counter-restored' });
  assert.equal(pod.spec?.affinity, undefined);
  assert.equal(pod.spec?.nodeName, undefined);
  assert.ok(!changes.some((change) => /affinity/i.test(change)), changes.join('\n'));
});

test('without a target node each required term is narrowed to each candidate', () => {
  const picky = structuredClone(counter);
  picky.spec!.affinity = {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] }],
      },
    },
  };
  const { pod } = targetPod(picky, migration, { name: 'x', candidates: ['a', 'b'] });
  assert.equal(pod.spec?.nodeName, undefined);
  assert.deepEqual(
    pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms,
    ['a', 'b'].map((node) => ({
      matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }],
      matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }],
    })),
  );
});

test('the nodes that one migration chose among do not bind the next one', () => {
  const picky = structuredClone(counter);
  const term = { matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] };
  for (const terms of [[term], undefined]) {
    if (terms) {
      picky.spec!.affinity = {
        nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
      };
    } else delete picky.spec!.affinity;
    const { pod: first } = targetPod(picky, migration, { name: 'x', candidates: ['a', 'b'] });
    const { pod: second } = targetPod(first, migration, { name: 'y', nodeName: 'c' });
    assert.deepEqual(second.spec?.affinity, picky.spec!.affinity);
  }
});

test('names of restored pods count on from the origin', () => {
  assert.equal(
    restoredName('counter', () => false),
    'counter-restored',
  );
  const taken = new Set(['counter-restored', 'counter-restored-2']);
  assert.equal(
    restoredName('counter', (name) => taken.has(name)),
    'counter-restored-3',
  );
  assert.equal(restoredName('a'.repeat(253), () => false).length, 253);
});

test('names that were probably meant are offered, the nearest first', () => {
  assert.deepEqual(similarNames('k8s-wroker', ['k8s-worker', 'k8s-master', 'other']), ['k8s-worker']);
  assert.deepEqual(similarNames('counter', ['counter-migration-test', 'redis']), ['counter-migration-test']);
  assert.deepEqual(similarNames('zzz', ['counter']), []);
});

test('what the API server fills in is no difference, what a webhook changes is', () => {
  const { pod } = targetPod(counter, migration, { name: 'counter-restored', nodeName: 'k8s-master' });
  const created = structuredClone(pod);
  created.metadata.uid = 'new';
  created.metadata.labels = { ...created.metadata.labels, injected: 'label' };
  Object.assign(created.spec!, {
    priority: 0,
    dnsPolicy: 'ClusterFirst',
    tolerations: [{ key: 'x', operator: 'Exists' }],
  });
  Object.assign(created.spec!.containers[0]!, {
    terminationMessagePath: '/dev/termination-log',
    resources: {},
  });
  assert.deepEqual(differences(pod, created), []);

  created.spec!.containers.push({ name: 'istio-proxy', image: 'proxy' });
  created.spec!.containers[0]!.env = [{ name: 'HTTP_PROXY', value: 'x' }];
  created.spec!.containers[0]!.image = 'mirror/busybox:1.35';
  delete created.metadata.annotations!['lpm.my.domain/migration'];
  assert.deepEqual(differences(pod, created).sort(), [
    'annotation lpm.my.domain/migration was changed',
    'containers[counter].env[HTTP_PROXY] was added',
    'containers[counter].image was changed',
    'containers[istio-proxy] was added',
  ]);
});

test('a pod is the same in whatever order its fields stand', () => {
  const sources = [
    { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
  ];
  const toleration = { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' };
  const withThese = structuredClone(counter);
  Object.assign(withThese.spec!, {
    volumes: [{ name: 'token', projected: { sources, defaultMode: 420 } }],
    tolerations: [toleration],
  });
  const { pod } = targetPod(withThese, migration, { name: 'counter-restored', nodeName: 'k8s-master' });
  const sorted = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(sorted)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([key, each]) => [key, sorted(each)]),
          )
        : value;
  assert.deepEqual(differences(sorted(pod) as typeof pod, pod), []);
});
