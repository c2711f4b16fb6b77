/**
 * The controller against an API server in memory and two simulated nodes, whose agents speak the real protocol over
 * mutual TLS. Asserts on what stands in the API afterwards, and on which copy executes.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import { LpmError, type Reason } from '../../common/errors.js';
import type { Pod } from '../../common/kube/types.js';
import { Claim } from '../../proto/gen/lpm/v1/agent.js';
import { eventually, gate, Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
});
after(async () => {
  await rig.stop();
});
beforeEach(() => {
  for (const node of [rig.worker, rig.master]) {
    node.calls.length = 0;
    Object.assign(node.behaviour, {
      info: {},
      facts: {},
      duringDump: () => {},
      beforeCommit: () => {},
      afterCommit: () => {},
      handlersWait: true,
      logs: () => [],
    });
  }
});

type Status = NonNullable<PodMigration['status']>;
const conditions = (status: Status | undefined) =>
  Object.fromEntries((status?.conditions ?? []).map(({ type, status }) => [type, status]));

/** Exactly one copy executes, and it is the one that should. */
async function assertRolledBack(pod: Pod, status: Status): Promise<void> {
  const { uid, name } = pod.metadata;
  assert.equal(rig.worker.executes(uid!), true, 'the source executes');
  assert.equal(rig.master.executes(status.restoredPodUID ?? ''), false, 'the target does not');
  assert.equal((await rig.client.pods.get(name, 'default')).metadata.uid, uid, 'the source pod is there');
  assert.equal(
    await rig.client.pods.find(`${name}-restored`, 'default'),
    undefined,
    'the target pod is gone',
  );
  assert.deepEqual(rig.worker.artifacts, [], 'no artifact is left');
  assert.equal(conditions(status).Failed, 'True');
  assert.match(status.message ?? '', /runs on as before on node k8s-worker\.$/);
}

test('a pod is moved: phases, conditions, status, objects and events are as the guide says', async () => {
  const pod = await rig.runningPod('counter');
  await rig.migrate('first', { podName: 'counter' });
  const status = await rig.ended('first', 'Succeeded');
  const migration = await rig.migration('first');

  assert.deepEqual(
    status.phaseTransitions?.map(({ phase }) => phase),
    [
      'Pending',
      'CheckpointInProgress',
      'CheckpointCompleted',
      'MigrationInProgress',
      'RestoreInProgress',
      'Succeeded',
    ],
  );
  assert.deepEqual(conditions(status), {
    Accepted: 'True',
    TargetPrepared: 'True',
    Checkpointed: 'True',
    Committed: 'True',
    SourceEnded: 'True',
    Complete: 'True',
  });
  assert.match(
    status.message ?? '',
    /^Pod counter moved from k8s-worker to k8s-master as counter-restored; \d+ ms of downtime\.$/,
  );
  // The clocks of the nodes are seven minutes apart.
  assert.ok(status.downtimeMilliseconds! < 5000, `${status.downtimeMilliseconds} ms`);
  assert.ok(status.downtimeErrorMilliseconds! < 1000);
  assert.ok(status.totalMilliseconds! >= status.downtimeMilliseconds!);
  assert.equal(status.bytesTransferred, 4096);
  assert.deepEqual(status.steps, [
    { name: 'Dump', milliseconds: 5 },
    { name: 'Restore', milliseconds: 7 },
  ]);
  assert.equal(status.sourcePodUID, pod.metadata.uid);
  assert.equal(status.progress, undefined);
  assert.equal(migration.metadata.finalizers, undefined);

  const restored = await rig.client.pods.get('counter-restored', 'default');
  assert.equal(restored.metadata.uid, status.restoredPodUID);
  assert.equal(restored.spec?.nodeName, 'k8s-master');
  assert.equal(restored.spec?.runtimeClassName, 'lpm');
  assert.equal(restored.spec?.hostname, 'counter');
  assert.equal(restored.spec?.containers[0]?.image, 'busybox:1.35');
  assert.deepEqual(restored.metadata.labels, { app: 'counter' });
  assert.equal(await rig.client.pods.find('counter', 'default'), undefined);
  assert.equal(rig.worker.executes(pod.metadata.uid!), false);
  assert.equal(rig.master.executes(restored.metadata.uid!), true);

  const podCheckpoint = await rig.client.podCheckpoints.get('first', 'default');
  const child = await rig.client.containerCheckpoints.get('first-counter', 'default');
  assert.equal(podCheckpoint.metadata.ownerReferences?.[0]?.uid, migration.metadata.uid);
  assert.equal(child.metadata.ownerReferences?.[0]?.uid, podCheckpoint.metadata.uid);
  for (const { status: one } of [podCheckpoint, child]) {
    assert.deepEqual(
      one?.phaseTransitions?.map(({ phase }) => phase),
      ['Pending', 'Running', 'Succeeded'],
    );
    const available = one?.conditions?.find(({ type }) => type === 'ArtifactAvailable');
    assert.equal(`${available?.status} ${available?.reason}`, 'False Discarded');
    assert.match(one?.boundContentName ?? '', /^(pod|container)checkpointcontent-/);
  }
  assert.deepEqual((await rig.client.podCheckpointContents.list()).items, []);
  assert.deepEqual((await rig.client.containerCheckpointContents.list()).items, []);
  assert.deepEqual(rig.worker.artifacts, []);
  assert.deepEqual(
    rig.worker.calls.filter((call) => call !== 'discard'),
    ['checkpoint', 'endSource'],
  );

  const events = await eventually('events are written', async () => {
    const found = await rig.eventsOf(migration.metadata.uid!);
    return found.some(({ reason }) => reason === 'Succeeded') ? found : undefined;
  });
  assert.deepEqual(events.map(({ reason }) => reason).sort(), [
    'Accepted',
    'Checkpointed',
    'Committed',
    'Succeeded',
    'TargetPrepared',
  ]);
  assert.equal(events[0]?.reportingComponent, 'lpm.my.domain/controller');
  assert.ok(
    rig.logLines.every((line) => line.includes('"time"') && line.endsWith('}\n')),
    'log lines are JSON',
  );
});

test('watchers see every phase', async () => {
  await rig.runningPod('watched');
  const created = await rig.migrate('watched', { podName: 'watched' });
  const seen: string[] = [];
  const stop = new AbortController();
  const events = rig.client.podMigrations.watch(
    { namespace: 'default', resourceVersion: created.metadata.resourceVersion! },
    stop.signal,
  );
  for await (const { object } of events) {
    if (object.metadata.name !== 'watched') continue;
    const phase = object.status?.phase;
    if (phase && seen.at(-1) !== phase) seen.push(phase);
    if (phase === 'Succeeded' || phase === 'Failed') break;
  }
  stop.abort();
  assert.deepEqual(seen, [
    'Pending',
    'CheckpointInProgress',
    'CheckpointCompleted',
    'MigrationInProgress',
    'RestoreInProgress',
    'Succeeded',
  ]);
});

const refusals: [string, Reason, RegExp, Partial<PodMigration['spec']>, () => void, ((pod: Pod) => void)?][] =
  [
    ['an unknown pod', 'PodNotFound', /no pod nobody in namespace default/, { podName: 'nobody' }, () => {}],
    ['an unknown node', 'NodeNotFound', /no node k8s-masetr/, { targetNode: 'k8s-masetr' }, () => {}],
    [
      'a node without CRIU',
      'CriuMissing',
      /k8s-master has no usable CRIU: criu is not in PATH/,
      {},
      () =>
        Object.assign(rig.master.behaviour.info, { criuVersion: '', criuProblem: 'criu is not in PATH.' }),
    ],
    [
      'a node without the handler',
      'HandlerMissing',
      /handler lpm/,
      {},
      () => Object.assign(rig.master.behaviour.info, { handlerReady: false }),
    ],
    [
      'io_uring',
      'IoUringInUse',
      /io_uring/,
      {},
      () => Object.assign(rig.worker.behaviour.facts, { usesIoUring: true }),
    ],
    [
      'open connections',
      'TcpConnectionsOpen',
      /one TCP connection is open/,
      { tcp: 'Refuse' },
      () => Object.assign(rig.worker.behaviour.facts, { establishedTcpConnections: 1 }),
    ],
    [
      'a host path',
      'PodNotSupported',
      /hostPath/,
      {},
      () => {},
      (pod) => (pod.spec!.volumes = [{ name: 'data', hostPath: { path: '/tmp' } }]),
    ],
  ];

for (const [index, [what, reason, message, spec, arrange, change]] of refusals.entries()) {
  test(`refused before anything is touched: ${what}`, async () => {
    arrange();
    const name = `refused-${index}`;
    const pod = await rig.runningPod(name, change);
    await rig.migrate(name, { podName: name, ...spec });
    const status = await rig.ended(name, 'Failed');
    assert.equal(status.reason, reason, status.message);
    assert.match(status.message ?? '', message);
    assert.ok(status.hint || reason === 'PodNotSupported', 'a next step is told');
    assert.equal(conditions(status).Accepted, 'False');
    assert.equal(conditions(status).Failed, 'True');
    assert.equal((await rig.client.pods.get(name, 'default')).metadata.uid, pod.metadata.uid);
    assert.deepEqual(rig.worker.calls, []);
    assert.deepEqual(rig.master.calls, []);
  });
}

test('spec.force moves a pod to a node with a lesser CPU, and says for good what it has overridden', async () => {
  rig.worker.behaviour.info = { cpuFlags: ['sse2', 'avx2'] };
  rig.master.behaviour.info = { cpuFlags: ['sse2'] };
  await rig.runningPod('forced');
  await rig.migrate('unforced', { podName: 'forced' });
  const refused = await rig.ended('unforced', 'Failed');
  assert.equal(refused.reason, 'NodesDiffer');
  assert.match(refused.hint ?? '', /Or take the risk with spec\.force \(--force\): .*SIGILL/);

  await rig.migrate('forced', { podName: 'forced', force: true });
  const status = await rig.ended('forced', 'Succeeded');
  const accepted = status.conditions?.find(({ type }) => type === 'Accepted');
  assert.deepEqual([accepted?.status, accepted?.reason], ['True', 'Forced']);
  assert.match(
    accepted?.message ?? '',
    /but for what spec\.force overrides: The CPU of node k8s-master lacks /,
  );
  assert.match(status.warnings?.[0] ?? '', /: avx2\. Overridden by spec\.force: .*SIGILL/);
  const { metadata } = await rig.migration('forced');
  await eventually('the event is written', async () =>
    (await rig.eventsOf(metadata.uid!)).find(
      ({ type, reason, message }) =>
        type === 'Warning' && reason === 'Overridden' && /lacks .* avx2\. Overridden by/.test(message ?? ''),
    ),
  );
  await assert.rejects(
    rig.client.podMigrations.patch('unforced', 'default', { spec: { force: true } }),
    /immutable but for/,
    'what was refused is not forced afterwards',
  );
});

test('refused: no agent on the target', async () => {
  await rig.runningPod('agentless');
  rig.master.stopAgent();
  try {
    await rig.migrate('agentless', { podName: 'agentless' });
    const status = await rig.ended('agentless', 'Failed');
    assert.equal(status.reason, 'AgentNotReachable');
    assert.match(
      status.message ?? '',
      /^The agent on node k8s-master cannot be reached at 127\.0\.0\.2:\d+: the connection was (refused|lost)\.$/,
    );
    assert.match(status.hint ?? '', /kubectl get pods -n live-pod-migration-controller-system/);
  } finally {
    await rig.master.startAgent(rig.port);
  }
});

test('a dump that fails is rolled back', async () => {
  const pod = await rig.runningPod('dump-fails');
  rig.worker.behaviour.duringDump = () => {
    throw new LpmError('CriuDumpFailed', 'CRIU could not dump container counter.', {
      hint: 'Look at the log.',
      log: 'Error (criu/files.c:1): simulated',
    });
  };
  await rig.migrate('dump-fails', { podName: 'dump-fails' });
  const status = await rig.ended('dump-fails', 'Failed');
  assert.equal(status.reason, 'CriuDumpFailed');
  assert.match(status.message ?? '', /^CRIU could not dump container counter\./);
  assert.equal(status.hint, 'Look at the log.');
  assert.match(
    status.conditions?.find(({ type }) => type === 'Failed')?.message ?? '',
    /files\.c:1\): simulated/,
  );
  await assertRolledBack(pod, status);
  assert.equal((await rig.client.podCheckpoints.get('dump-fails', 'default')).status?.phase, 'Failed');
});

test('CRIU’s logs of a migration that failed lie beside it, and go with it', async () => {
  const pod = await rig.runningPod('logged');
  const endedAt = new Date();
  rig.worker.behaviour.logs = (uid) => [
    { containerName: 'counter', name: 'dump.log', text: `dump ${uid}\n`, endedAt },
  ];
  rig.master.behaviour.logs = (uid, podUid) => [
    { containerName: 'counter', name: 'restore-1.log', text: `restore ${uid} of ${podUid}\n`, endedAt },
  ];
  rig.master.behaviour.beforeCommit = () => {
    throw new LpmError('CriuRestoreFailed', 'CRIU could not restore container counter.');
  };
  const { metadata } = await rig.migrate('logged', { podName: 'logged' });
  const status = await rig.ended('logged', 'Failed');
  await assertRolledBack(pod, status);
  const checkpoint = await rig.client.podCheckpoints.get('logged', 'default');
  const stored = await rig.client.configMaps.get('logged-criu-log', 'default');
  assert.deepEqual(stored.data, {
    'source.counter.dump.log': `dump ${checkpoint.metadata.uid}\n`,
    'target.counter.restore-1.log': `restore ${metadata.uid} of ${status.restoredPodUID}\n`,
  });
  assert.equal(stored.metadata.ownerReferences?.[0]?.uid, metadata.uid);

  await rig.client.podMigrations.delete('logged', 'default');
  await eventually('the logs are gone', async () =>
    (await rig.client.configMaps.find('logged-criu-log', 'default')) ? undefined : true,
  );
});

test('an agent that cannot tell its logs is noted, and a migration that froze nothing stores none', async () => {
  await rig.runningPod('untold');
  rig.worker.behaviour.duringDump = () => {
    throw new LpmError('CriuDumpFailed', 'CRIU could not dump container counter.');
  };
  rig.worker.behaviour.logs = () => {
    throw new LpmError('Internal', 'The disk is gone (simulated).');
  };
  await rig.migrate('untold', { podName: 'untold' });
  await rig.ended('untold', 'Failed');
  const { data } = await rig.client.configMaps.get('untold-criu-log', 'default');
  assert.deepEqual(data, {
    notes: 'The logs on node k8s-worker (source) could not be read: The disk is gone (simulated).\n',
  });
  await rig.migrate('refused', { podName: 'nobody' });
  await rig.ended('refused', 'Failed');
  assert.equal(await rig.client.configMaps.find('refused-criu-log', 'default'), undefined);
});

test('a restore that fails is rolled back: revoked first, then thawed', async () => {
  const pod = await rig.runningPod('restore-fails');
  const order: string[] = [];
  rig.master.behaviour.beforeCommit = () => {
    throw new LpmError('CriuRestoreFailed', 'CRIU could not restore container counter.');
  };
  const { calls } = rig.master;
  rig.master.calls.push = (...items: string[]) => {
    order.push(...items.map((item) => `master ${item}`));
    return Array.prototype.push.apply(calls, items);
  };
  rig.worker.calls.push = (...items: string[]) => {
    order.push(...items.map((item) => `worker ${item}`));
    return Array.prototype.push.apply(rig.worker.calls, items);
  };
  await rig.migrate('restore-fails', { podName: 'restore-fails' });
  const status = await rig.ended('restore-fails', 'Failed');
  assert.equal(status.reason, 'CriuRestoreFailed');
  await assertRolledBack(pod, status);
  assert.ok(order.indexOf('master revoke') < order.indexOf('worker thaw'), order.join(', '));
  assert.equal(rig.master.targets.get(status.restoredPodUID!)?.claim, Claim.CLAIM_REVOKED);
  Reflect.deleteProperty(rig.master.calls, 'push');
  Reflect.deleteProperty(rig.worker.calls, 'push');
});

test('committed, but the answer is lost: the migration is completed', async () => {
  const pod = await rig.runningPod('answer-lost');
  let lost = false;
  rig.master.behaviour.afterCommit = () => {
    if (lost) return;
    lost = true;
    throw new Error('connection reset (simulated)');
  };
  await rig.migrate('answer-lost', { podName: 'answer-lost' });
  const status = await rig.ended('answer-lost', 'Succeeded');
  assert.equal(lost, true);
  assert.ok(status.downtimeMilliseconds !== undefined);
  assert.equal(rig.worker.executes(pod.metadata.uid!), false);
  assert.equal(rig.worker.calls.includes('thaw'), false);
});

test('a migration that is deleted before the commit is rolled back and then goes', async () => {
  const pod = await rig.runningPod('deleted');
  const commit = gate();
  rig.master.behaviour.beforeCommit = () => commit.wait;
  await rig.migrate('deleted', { podName: 'deleted' });
  await rig.inPhase('deleted', 'RestoreInProgress');
  assert.equal(rig.worker.executes(pod.metadata.uid!), false, 'the source is frozen');
  await rig.client.podMigrations.delete('deleted', 'default');
  await eventually('the migration is gone', async () =>
    (await rig.client.podMigrations.find('deleted', 'default')) ? undefined : true,
  );
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
  assert.equal(await rig.client.pods.find('deleted-restored', 'default'), undefined);
  commit.open();
  assert.equal(rig.worker.executes(pod.metadata.uid!), true, 'a late restore does not win');
});

test('a target whose image cannot be pulled fails with the words of the kubelet, the source untouched', async () => {
  const pod = await rig.runningPod('no-image');
  rig.master.behaviour.handlersWait = false;
  await rig.migrate('no-image', { podName: 'no-image' });
  await eventually(
    'the target pod is there',
    async () => (await rig.migration('no-image')).status?.restoredPodUID,
  );
  const target = await rig.client.pods.get('no-image-restored', 'default');
  await rig.client.pods.patchStatus(target.metadata.name, 'default', {
    containerStatuses: [
      {
        name: 'counter',
        image: 'busybox:1.35',
        imageID: '',
        ready: false,
        restartCount: 0,
        state: { waiting: { reason: 'ImagePullBackOff', message: 'no such image (simulated)' } },
      },
    ],
  });
  const status = await rig.ended('no-image', 'Failed');
  assert.equal(status.reason, 'TargetPodFailed');
  assert.match(status.message ?? '', /ImagePullBackOff\): no such image \(simulated\)/);
  await assertRolledBack(pod, status);
  assert.deepEqual(rig.worker.calls.includes('checkpoint'), false);
});

test('without a target node the scheduler chooses among the nodes that can restore the pod', async () => {
  await rig.runningPod('scheduled');
  await rig.client.podMigrations.create(
    { metadata: { name: 'scheduled', namespace: 'default' }, spec: { podName: 'scheduled' } },
    'default',
  );
  const status = await rig.ended('scheduled', 'Succeeded');
  assert.equal(status.targetNode, 'k8s-master');
  const restored = await rig.client.pods.get('scheduled-restored', 'default');
  assert.deepEqual(
    restored.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms,
    [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['k8s-master'] }] }],
  );
});

test('names count on: a second migration of a restored pod does not stack -restored', async () => {
  await rig.runningPod('again');
  await rig.migrate('again-1', { podName: 'again' });
  await rig.ended('again-1', 'Succeeded');
  // A restored pod is a source like any other to its node.
  const restored = await rig.client.pods.get('again-restored', 'default');
  rig.master.sources.set(restored.metadata.uid!, {
    pod: restored,
    ids: new Map(),
    frozen: false,
    ended: false,
  });
  await rig.migrate('again-2', { podName: 'again-restored', targetNode: 'k8s-worker' });
  const status = await rig.ended('again-2', 'Succeeded');
  assert.equal(status.restoredPodName, 'again-restored-2');
});

test('a name of one’s own for the restored pod is kept, and refused when it is taken', async () => {
  await rig.runningPod('named');
  await rig.migrate('named-taken', { podName: 'named', restoredPodName: 'named' });
  assert.equal((await rig.ended('named-taken', 'Failed')).reason, 'NameTaken');
  await rig.migrate('named', { podName: 'named', restoredPodName: 'my-own-name' });
  assert.equal((await rig.ended('named', 'Succeeded')).restoredPodName, 'my-own-name');
});

test('a second migration of the same pod is refused while the first goes on', async () => {
  await rig.runningPod('busy');
  const dump = gate();
  rig.worker.behaviour.duringDump = () => dump.wait;
  await rig.migrate('busy-1', { podName: 'busy' });
  await rig.inPhase('busy-1', 'CheckpointInProgress');
  await rig.migrate('busy-2', { podName: 'busy' });
  const status = await rig.ended('busy-2', 'Failed');
  assert.equal(status.reason, 'PodBusy');
  assert.match(status.message ?? '', /busy-1/);
  dump.open();
  await rig.ended('busy-1', 'Succeeded');
});

test('a controller that is restarted during the dump completes the migration', async () => {
  const pod = await rig.runningPod('restart-dump');
  const dump = gate();
  let dumps = 0;
  rig.worker.behaviour.duringDump = () => {
    dumps += 1;
    return dump.wait;
  };
  await rig.migrate('restart-dump', { podName: 'restart-dump' });
  await eventually('the dump goes on', async () => (dumps > 0 ? true : undefined));
  await rig.controller.stop();
  assert.equal((await rig.migration('restart-dump')).status?.phase, 'CheckpointInProgress');
  await rig.startController();
  await eventually('the new controller joins', async () => (dumps > 1 ? true : undefined));
  dump.open();
  await rig.ended('restart-dump', 'Succeeded');
  assert.equal(rig.worker.executes(pod.metadata.uid!), false);
});

test('a controller that is restarted after the commit completes the migration, with its downtime', async () => {
  const pod = await rig.runningPod('restart-commit');
  const answer = gate();
  rig.master.behaviour.afterCommit = () => answer.wait;
  await rig.migrate('restart-commit', { podName: 'restart-commit' });
  await eventually('the restored process executes', async () => {
    const uid = (await rig.migration('restart-commit')).status?.restoredPodUID;
    return uid && rig.master.executes(uid) ? true : undefined;
  });
  await rig.controller.stop();
  // The answer never comes: only the agent's state tells.
  await rig.startController();
  const status = await rig.ended('restart-commit', 'Succeeded');
  answer.open();
  assert.ok(status.downtimeMilliseconds! >= 0);
  assert.equal(rig.worker.executes(pod.metadata.uid!), false);
  assert.equal(rig.worker.calls.includes('thaw'), false);
  const contents = (await rig.client.podCheckpointContents.list()).items;
  const left = contents.filter(({ spec }) => spec.podUID === pod.metadata.uid);
  assert.deepEqual(left, [], 'the contents that the first controller recorded are gone with the artifacts');
});

test('a target agent that is gone keeps the source frozen and is told as Stuck, until it is back', async () => {
  const pod = await rig.runningPod('stuck');
  rig.master.behaviour.beforeCommit = () => {
    rig.master.stopAgent();
    return new Promise(() => {});
  };
  await rig.migrate('stuck', { podName: 'stuck' });
  await eventually('the target agent was asked', async () =>
    rig.master.calls.includes('restore') ? true : undefined,
  );
  await rig.client.podMigrations.delete('stuck', 'default');
  const stuck = await eventually('the migration says that it is stuck', async () =>
    (await rig.migration('stuck')).status?.conditions?.find(
      ({ type, status }) => type === 'Stuck' && status === 'True',
    ),
  );
  assert.equal(stuck.reason, 'AgentNotReachable');
  assert.match(stuck.message, /Revoking the restore on node k8s-master does not succeed/);
  assert.equal(rig.worker.executes(pod.metadata.uid!), false, 'still frozen');
  rig.master.behaviour.beforeCommit = () => {};
  await rig.master.startAgent(rig.port);
  await eventually('the migration is rolled back and gone', async () =>
    (await rig.client.podMigrations.find('stuck', 'default')) ? undefined : true,
  );
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
});
