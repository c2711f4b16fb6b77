import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import type { Reason } from '../../common/errors.js';
import { failureOf } from '../agents/failure.js';
import { aMigration, aNode, aPod, containerFacts, nodeFacts, nodeInfo, someFacts } from './build.testing.js';
import { checks } from './checks.js';
import { CHECKS, type MigrationFacts } from './facts.js';

type Change = Partial<MigrationFacts>;
const container = (change: object): Change => ({
  pod: aPod((pod) => Object.assign(pod.spec!.containers[0]!, change)),
});
const spec = (change: object): Change => ({ pod: aPod((pod) => Object.assign(pod.spec!, change)) });
const status = (change: object): Change => ({ pod: aPod((pod) => Object.assign(pod.status!, change)) });
const owner = (kind: string): Change => ({
  pod: aPod(
    (pod) => (pod.metadata.ownerReferences = [{ apiVersion: 'apps/v1', kind, name: 'web', uid: 'o' }]),
  ),
});
const volume = (source: object): Change => spec({ volumes: [{ name: 'data', ...source }] });
const inspected = (change: object): Change => ({ inspection: { value: [containerFacts(change)] } });
const target = (info: object): Change => ({ targets: [nodeFacts('k8s-master', info)] });
const tainted = (effect: string, tolerations: object[] = []): Change => {
  const node = aNode('k8s-master');
  node.spec = { taints: [{ key: 'control-plane', effect }] };
  return {
    ...spec({ tolerations }),
    targets: [{ name: 'k8s-master', node, agent: { value: nodeInfo('k8s-master') } }],
  };
};
const other = (change: object = {}): Change => {
  const migration = aMigration();
  Object.assign(migration.metadata, {
    name: 'other',
    uid: 'other',
    creationTimestamp: '2030-01-01T00:00:00Z',
  });
  return { otherMigrations: [Object.assign(migration, change)] };
};

const refused: [string, Change, Reason, RegExp][] = [
  ['a pod that does not exist', { pod: undefined }, 'PodNotFound', /no pod counter in namespace default/],
  ['a pod that is Pending', status({ phase: 'Pending' }), 'PodNotRunning', /is Pending/],
  [
    'a container that crashes',
    status({ containerStatuses: [{ name: 'counter', state: { waiting: { reason: 'CrashLoopBackOff' } } }] }),
    'PodNotRunning',
    /CrashLoopBackOff/,
  ],
  [
    'a pod that is being deleted',
    { pod: aPod((pod) => (pod.metadata.deletionTimestamp = '2030-01-01T00:00:00Z')) },
    'PodNotRunning',
    /being deleted/,
  ],
  [
    'an unknown node',
    { targets: [{ name: 'k8s-master', node: undefined }] },
    'NodeNotFound',
    /no node k8s-master/,
  ],
  [
    'a node that is not ready',
    { targets: [{ name: 'k8s-master', node: aNode('k8s-master', '127.0.0.1', 'False') }] },
    'NodeNotReady',
    /k8s-master is not Ready: kubelet stopped posting/,
  ],
  [
    'no agent on the target',
    {
      targets: [
        {
          name: 'k8s-master',
          node: aNode('k8s-master'),
          agent: {
            failure: failureOf('AgentNotReachable', 'The agent on node k8s-master cannot be reached.'),
          },
        },
      ],
    },
    'AgentNotReachable',
    /k8s-master/,
  ],
  [
    'no agent on the source',
    {
      source: {
        name: 'k8s-worker',
        node: aNode('k8s-worker'),
        agent: { failure: failureOf('AgentNotReachable', 'The agent on node k8s-worker cannot be reached.') },
      },
      inspection: undefined,
    },
    'AgentNotReachable',
    /k8s-worker/,
  ],
  [
    'no CRIU',
    target({ criuVersion: '', criuProblem: 'criu is not in PATH' }),
    'CriuMissing',
    /criu is not in PATH/,
  ],
  ['no handler', target({ handlerReady: false }), 'HandlerMissing', /handler lpm/],
  ['another architecture', target({ architecture: 'arm64' }), 'NodesDiffer', /amd64.*arm64/],
  ['another OCI runtime', target({ ociRuntime: 'youki' }), 'NodesDiffer', /runc.*youki/],
  [
    'a target whose handler calls crun',
    target({ ociRuntime: 'crun' }),
    'NotSupportedYet',
    /handler of node k8s-master calls crun/,
  ],
  ['another container runtime', target({ runtimeName: 'cri-o' }), 'NodesDiffer', /containerd.*cri-o/],
  ['another cgroup version', target({ cgroupVersion: 1 }), 'NodesDiffer', /cgroup version 2.*1/],
  ['a CPU with less features', target({ cpuFlags: ['sse2'] }), 'NodesDiffer', /avx2/],
  ['too little room on the target', target({ freeBytes: 1000n }), 'NoSpace', /k8s-master has 0 MiB free/],
  [
    'too little room on the source',
    { source: nodeFacts('k8s-worker', { freeBytes: 1000n }) },
    'NoSpace',
    /k8s-worker has 0 MiB free/,
  ],
  ['a NoExecute taint', tainted('NoExecute'), 'NodeTainted', /control-plane.*NoExecute/],
  [
    'a node selector that does not match',
    spec({ nodeSelector: { disk: 'ssd' } }),
    'Unschedulable',
    /node selector/,
  ],
  ['an older migration of the pod', other(), 'PodBusy', /migration other/],
  [
    'a migration that is about to make this pod',
    other({ spec: { podName: 'x' }, status: { restoredPodName: aPod().metadata.name } }),
    'PodBusy',
    /being restored by migration other/,
  ],
  [
    'a migration that is making this pod',
    other({ spec: { podName: 'x' }, status: { restoredPodUID: aPod().metadata.uid } }),
    'PodBusy',
    /being restored/,
  ],
  ['a checkpoint at the same time', { runningCheckpoints: ['nightly'] }, 'PodBusy', /nightly/],
  [
    'a name that is taken',
    { migration: aMigration({ restoredPodName: 'redis' }) },
    'NameTaken',
    /pod redis already/,
  ],
  ['the host network', spec({ hostNetwork: true }), 'PodNotSupported', /hostNetwork/],
  ['host PIDs', spec({ hostPID: true }), 'PodNotSupported', /hostPID/],
  ['host IPC', spec({ hostIPC: true }), 'PodNotSupported', /hostIPC/],
  ['a user namespace', spec({ hostUsers: false }), 'PodNotSupported', /hostUsers/],
  [
    'a shared process namespace',
    spec({ shareProcessNamespace: true }),
    'NotSupportedYet',
    /shareProcessNamespace/,
  ],
  ['another runtime class', spec({ runtimeClassName: 'kata' }), 'PodNotSupported', /kata/],
  ['resource claims', spec({ resourceClaims: [{ name: 'gpu' }] }), 'PodNotSupported', /resource claims/],
  ['ephemeral containers', spec({ ephemeralContainers: [{ name: 'debug' }] }), 'PodNotSupported', /debug/],
  ['a hostPath', volume({ hostPath: { path: '/x' } }), 'PodNotSupported', /hostPath/],
  [
    'a claim',
    volume({ persistentVolumeClaim: { claimName: 'x' } }),
    'NotSupportedYet',
    /persistentVolumeClaim/,
  ],
  ['huge pages', volume({ emptyDir: { medium: 'HugePages' } }), 'NotSupportedYet', /huge pages/],
  [
    'two containers',
    { pod: aPod((pod) => pod.spec!.containers.push({ name: 'second' })), ...inspected({}) },
    'PodNotRunning',
    /second/,
  ],
  [
    'a sidecar',
    spec({ initContainers: [{ name: 'proxy', restartPolicy: 'Always' }] }),
    'NotSupportedYet',
    /proxy/,
  ],
  ['a terminal', container({ tty: true }), 'PodNotSupported', /tty/],
  ['a device', container({ resources: { limits: { 'nvidia.com/gpu': '1' } } }), 'PodNotSupported', /nvidia/],
  [
    'an impatient liveness probe',
    container({ livenessProbe: { periodSeconds: 2, failureThreshold: 3 } }),
    'PodNotSupported',
    /gives up after 5 s/,
  ],
  ['a pod of a ReplicaSet', owner('ReplicaSet'), 'NotSupportedYet', /ReplicaSet web/],
  ['a pod of a StatefulSet', owner('StatefulSet'), 'NotSupportedYet', /StatefulSet web/],
  ['a pod of a Job', owner('Job'), 'NotSupportedYet', /Job web/],
  ['a pod of a DaemonSet', owner('DaemonSet'), 'PodNotSupported', /DaemonSet/],
  ['a static pod', owner('Node'), 'PodNotSupported', /static pod/],
  ['io_uring', inspected({ usesIoUring: true }), 'IoUringInUse', /io_uring/],
  ['a terminal that only the runtime knows', inspected({ terminal: true }), 'PodNotSupported', /terminal/],
  [
    'a further problem',
    inspected({ problems: ['/dev/fuse is open'] }),
    'PodNotSupported',
    /\/dev\/fuse is open\./,
  ],
  [
    'a container that was just restarted',
    inspected({ containerId: 'another' }),
    'PodNotRunning',
    /restarting/,
  ],
  [
    'connections when they are to be kept',
    { ...inspected({ establishedTcpConnections: 2 }), migration: aMigration({ tcp: 'Refuse' }) },
    'TcpConnectionsOpen',
    /2 TCP connections/,
  ],
  [
    'no node to choose from',
    { migration: aMigration({ targetNode: undefined }), targets: [] },
    'Unschedulable',
    /no node but the one/,
  ],
  [
    'no suitable node to choose from',
    { ...target({ handlerReady: false }), migration: aMigration({ targetNode: undefined }) },
    'Unschedulable',
    /k8s-master: The container runtime/,
  ],
];

for (const [what, change, reason, message] of refused) {
  test(`refused: ${what}`, () => {
    const verdict = checks(someFacts(change));
    assert.equal(verdict.refusals[0]?.reason, reason, JSON.stringify(verdict));
    assert.match(verdict.refusals[0]?.message ?? '', message);
    assert.match(verdict.refusals[0]?.message ?? '', /\.$/, 'a message is a sentence');
  });
}

test('a pod of two containers is accepted', () => {
  const pod = aPod((one) => {
    one.spec!.containers.push({ name: 'second' });
    one.status!.containerStatuses!.push({ ...one.status!.containerStatuses![0]!, name: 'second' });
  });
  const { refusals } = checks(
    someFacts({ pod, inspection: { value: [containerFacts(), containerFacts({ name: 'second' })] } }),
  );
  assert.deepEqual(refusals, []);
});

test('an ordinary pod is accepted without warnings', () => {
  const { checks: looked, ...verdict } = checks(someFacts());
  assert.deepEqual(verdict, { refusals: [], warnings: [], candidates: ['k8s-master'], overridden: [] });
  assert.deepEqual(
    looked.map(({ name }) => name),
    CHECKS.filter((name) => name !== 'TargetPod'),
    'every check, each once',
  );
  for (const { name, passed } of looked) assert.match(passed, /^\S.*\.$/, `${name} says what was found`);
});

test('a folder of the node is taken along only when somebody says that it is the same on both', () => {
  const verdict = (hostPath: object, allowHostPath: boolean) =>
    checks(
      someFacts({
        ...volume({ hostPath }),
        migration: aMigration(allowHostPath ? { allowHostPath } : {}),
      }),
    );
  const shared = { path: '/srv/data', type: 'Directory' };
  assert.match(verdict(shared, false).refusals[0]?.hint ?? '', /--allow-host-path/);
  assert.deepEqual(verdict(shared, true).refusals, []);
  assert.match(
    verdict(shared, true).warnings[0] ?? '',
    /data is the folder \/srv\/data of the node: nothing/,
  );
  for (const own of [
    { path: '/run/containerd/containerd.sock', type: 'Socket' },
    { path: '/dev//kvm' },
    { path: '/var/lib/kubelet/' },
    { path: '/' },
    { path: '/srv/disk', type: 'BlockDevice' },
  ]) {
    const [first] = verdict(own, true).refusals;
    assert.match(first?.message ?? '', /never the same on another node/, own.path);
  }
  assert.deepEqual(verdict({ path: '/running' }, true).refusals, []);
});

test('a preflight of the same pod is no obstacle for a migration', () => {
  const looking = other({ spec: { podName: 'counter', preflightOnly: true } });
  looking.otherMigrations![0]!.metadata.creationTimestamp = '2029-01-01T00:00:00Z';
  const verdict = checks(someFacts(looking));
  assert.deepEqual(verdict.refusals, []);
  assert.equal(verdict.waitsFor, undefined);
});

test('near names are offered for a pod and for a node', () => {
  assert.equal(
    checks(someFacts({ pod: undefined, podNames: ['countre'] })).refusals[0]?.hint,
    'Did you mean countre?',
  );
  const facts = someFacts({
    migration: aMigration({ targetNode: 'k8s-masetr' }),
    targets: [{ name: 'k8s-masetr', node: undefined }],
  });
  assert.equal(checks(facts).refusals[0]?.hint, 'Did you mean k8s-master?');
});

test('all reasons are given, not only the first', () => {
  const verdict = checks(
    someFacts({ ...spec({ hostPID: true, hostIPC: true }), ...target({ handlerReady: false }) }),
  );
  assert.equal(verdict.refusals.length, 3);
});

test('open connections only warn when they may be closed', () => {
  const verdict = checks(someFacts(inspected({ establishedTcpConnections: 1 })));
  assert.deepEqual(verdict.refusals, []);
  assert.match(verdict.warnings[0] ?? '', /one TCP connection is open/);
});

test('a NoSchedule taint only warns, a tolerated NoExecute taint says nothing', () => {
  assert.match(checks(someFacts(tainted('NoSchedule'))).warnings[0] ?? '', /NoSchedule/);
  const tolerated = checks(someFacts(tainted('NoExecute', [{ operator: 'Exists' }])));
  assert.deepEqual(tolerated.refusals, []);
  assert.deepEqual(tolerated.warnings, []);
});

test('where no node is named, one that the scheduler would not choose is none to choose from', () => {
  const { candidates, refusals } = checks(
    someFacts({ ...tainted('NoSchedule'), migration: aMigration({ targetNode: undefined }) }),
  );
  assert.deepEqual(candidates, []);
  assert.match(refusals[0]?.message ?? '', /k8s-master has the taint .* the scheduler does not choose it\./);
});

const impatient = (seconds: number): Change =>
  container({ livenessProbe: { periodSeconds: 1, timeoutSeconds: 1, failureThreshold: seconds } });
const forced = (change: Change, spec: Partial<PodMigration['spec']> = {}): Change => ({
  ...change,
  migration: aMigration({ force: true, ...spec }),
});

const overridden: [string, Change, RegExp, risk: RegExp][] = [
  ['a CPU with less features', target({ cpuFlags: ['sse2'] }), /avx2/, /SIGILL.* anew from its image/],
  ['a liveness probe that allows some seconds', impatient(5), /after 5 s/, /longer than 4 s is rolled back/],
];
for (const [what, change, message, risk] of overridden) {
  test(`force overrides ${what}, and says what is risked; without it the hint does`, () => {
    const [refused] = checks(someFacts(change)).refusals;
    assert.match(refused?.hint ?? '', /Or take the risk with spec\.force \(--force\): /);
    assert.match(refused?.hint ?? '', risk);

    const verdict = checks(someFacts(forced(change)));
    assert.deepEqual(verdict.refusals, []);
    assert.equal(verdict.overridden.length, 1);
    assert.match(verdict.overridden[0] ?? '', message);
    assert.match(verdict.warnings[0] ?? '', message);
    assert.match(verdict.warnings[0] ?? '', risk);
    assert.deepEqual(verdict.candidates, ['k8s-master']);
  });
}

test('force overrides nothing that is certain: each such refusal stays and names the check that stands', () => {
  // Whatever speaks against a migration, but for these two.
  const certain = refused.filter(([what]) => !/less features|impatient/.test(what));
  for (const [what, change, reason] of certain) {
    const { migration = aMigration() } = change;
    const facts = someFacts({
      ...change,
      migration: { ...migration, spec: { ...migration.spec, force: true } },
    });
    const { refusals, overridden, checks: looked } = checks(facts);
    assert.equal(refusals[0]?.reason, reason, what);
    assert.deepEqual(overridden, [], what);
    const [{ name } = assert.fail(what)] = looked.filter((one) => one.refusals.length > 0);
    assert.match(
      refusals[0]?.hint ?? '',
      new RegExp(`The check ${name} is none that spec\\.force \\(--force\\) overrides\\.$`),
      what,
    );
  }
  const atOnce = checks(someFacts(forced(impatient(2))));
  assert.match(atOnce.refusals[0]?.hint ?? '', /The check LivenessProbes is none/);
});

test('where no node is named, force overrides something only if there is no node without it', () => {
  const weak = nodeFacts('weak', { cpuFlags: ['sse2'] });
  const none = { targetNode: undefined };
  const choose = (...targets: MigrationFacts['targets']) => checks(someFacts(forced({ targets }, none)));
  const both = choose(weak, nodeFacts('strong'));
  assert.deepEqual([both.candidates, both.overridden], [['strong'], []]);
  const only = choose(weak, nodeFacts('bare', { handlerReady: false }));
  assert.deepEqual(only.candidates, ['weak']);
  assert.match(only.overridden[0] ?? '', /CPU of node weak/);
});

test('the same node is allowed when it is asked for', () => {
  const verdict = checks(
    someFacts({
      migration: aMigration({ targetNode: 'k8s-worker' }),
      targets: [nodeFacts('k8s-worker')],
    }),
  );
  assert.deepEqual(verdict.refusals, []);
});

test('a younger migration of the same pod is no obstacle, but is waited for until it has given way', () => {
  const young = other();
  young.otherMigrations![0]!.metadata.creationTimestamp = '2030-01-01T00:01:00Z';
  assert.deepEqual(checks(someFacts(young)).refusals, []);
  assert.equal(checks(someFacts(young)).waitsFor, 'other');
  assert.equal(checks(someFacts()).waitsFor, undefined);
});

test('of two migrations that were created in the same second, one and the same gives way in every view', () => {
  const [a, b] = ['aaaa', 'bbbb'].map((uid) => {
    const migration = aMigration();
    Object.assign(migration.metadata, { name: `m-${uid}`, uid });
    return migration;
  });
  const seenBy = (one: typeof a, other: typeof a) =>
    checks(someFacts({ migration: one!, otherMigrations: [other!] }));
  assert.deepEqual(seenBy(a, b).refusals, []);
  assert.equal(seenBy(a, b).waitsFor, 'm-bbbb');
  assert.equal(seenBy(b, a).refusals[0]?.reason, 'PodBusy');
});
