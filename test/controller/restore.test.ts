/**
 * Saved checkpoints that are brought back, against an API server in memory and two simulated nodes whose agents speak the
 * real protocol. Asserts on what stands in the API afterwards, on what the agents were asked, and on which pods execute.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { ANNOTATION } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import { LpmError } from '../../common/errors.js';
import type { Pod } from '../../common/kube/types.js';
import { Claim } from '../../proto/gen/lpm/v1/agent.js';
import { eventually, gate, Rig } from './rig.js';
import { saveCheckpoint } from './saved.js';

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
    node.restores.length = 0;
    Object.assign(node.behaviour, {
      info: {},
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
const restore = (
  name: string,
  podName: string,
  checkpoint: string,
  spec: Partial<PodMigration['spec']> = {},
): Promise<PodMigration> =>
  rig.migrate(name, { podName, fromCheckpoint: { kind: 'PodCheckpoint', name: checkpoint }, ...spec });
const podGone = (name: string) =>
  eventually(`pod ${name} is gone`, async () =>
    (await rig.client.pods.find(name, 'default')) ? undefined : true,
  );

/** A pod that was checkpointed and is gone since. */
async function savedAndGone(name: string, change?: Parameters<typeof saveCheckpoint>[3]): Promise<Pod> {
  const pod = await rig.runningPod(name);
  await saveCheckpoint(rig, name, pod, change);
  await rig.client.pods.delete(name, 'default');
  await podGone(name);
  return pod;
}

const NEVER_ASKED = ['checkpoint', 'thaw', 'endSource'];
function assertOnlyRestored(): void {
  const calls = [...rig.worker.calls, ...rig.master.calls];
  assert.deepEqual(
    calls.filter((call) => NEVER_ASKED.includes(call)),
    [],
    'nothing is frozen, thawed or ended',
  );
}

test('a checkpoint is brought back as a new pod: phases, conditions, status and what the agent is told', async () => {
  const pod = await savedAndGone('counter');
  const uid = (await rig.client.podCheckpoints.get('counter', 'default')).metadata.uid!;
  await restore('back', 'counter', 'counter');
  const status = await rig.ended('back', 'Succeeded');
  assert.deepEqual(
    status.phaseTransitions?.map(({ phase }) => phase),
    ['Pending', 'MigrationInProgress', 'RestoreInProgress', 'Succeeded'],
  );
  assert.deepEqual(conditions(status), {
    Accepted: 'True',
    TargetPrepared: 'True',
    Committed: 'True',
    Complete: 'True',
  });
  assert.equal(
    status.message,
    'Pod counter-restored continues from PodCheckpoint counter on node k8s-master.',
  );
  assert.equal(status.downtimeMilliseconds, undefined);
  assert.equal(status.warnings, undefined);
  assert.equal(status.bytesTransferred, 4096);
  assert.deepEqual(status.steps, [{ name: 'Restore', milliseconds: 7 }]);
  assert.deepEqual(
    [status.sourceNode, status.sourcePodUID, status.podCheckpointUID],
    ['k8s-worker', pod.metadata.uid, uid],
  );

  const restored = await rig.client.pods.get('counter-restored', 'default');
  assert.equal(restored.metadata.uid, status.restoredPodUID);
  assert.deepEqual(restored.metadata.labels, { app: 'counter' });
  assert.equal(restored.metadata.ownerReferences, undefined);
  assert.equal(restored.spec?.runtimeClassName, 'lpm');
  assert.equal(restored.spec?.hostname, 'counter');
  assert.equal(restored.metadata.annotations?.[ANNOTATION.sourcePodUid], pod.metadata.uid);
  assert.equal(rig.master.executes(restored.metadata.uid!), true);

  const [request] = rig.master.restores;
  assert.equal(`${request?.checkpointUid}${request?.sourceAddress}`, '', 'archives in place of artifacts');
  assert.deepEqual(request?.containerNames, ['counter']);
  assert.deepEqual(
    request?.archives.map(({ sha256, ...rest }) => ({ ...rest, sha256: sha256.toString('hex') })),
    [
      {
        containerName: 'counter',
        uri: `shared://${pod.metadata.uid}-counter-2030-01-01T00:00:00Z.tar`,
        bytes: 4096n,
        address: '',
        nodeName: '',
        sha256: 'ab'.repeat(32),
      },
    ],
  );
  assertOnlyRestored();
  const migration = await rig.migration('back');
  assert.equal(migration.metadata.finalizers, undefined);
  assert.equal((await rig.client.podCheckpoints.get('counter', 'default')).status?.phase, 'Succeeded');
  assert.equal((await rig.client.podCheckpointContents.list()).items.length, 1, 'the checkpoint is kept');
});

test('twice from one checkpoint: two twins with names of their own, and the second says so', async () => {
  await savedAndGone('twice');
  await Promise.all([restore('twice-1', 'twice', 'twice'), restore('twice-2', 'twice', 'twice')]);
  const statuses = [await rig.ended('twice-1', 'Succeeded'), await rig.ended('twice-2', 'Succeeded')];
  assert.deepEqual(statuses.map(({ restoredPodName }) => restoredPodName).sort(), [
    'twice-restored',
    'twice-restored-2',
  ]);
  for (const { restoredPodUID } of statuses) assert.equal(rig.master.executes(restoredPodUID!), true);
  await restore('twice-3', 'twice', 'twice', { targetNode: 'k8s-worker' });
  const third = await rig.ended('twice-3', 'Succeeded');
  assert.equal(third.restoredPodName, 'twice-restored-3');
  assert.match(
    third.warnings?.[0] ?? '',
    /^Pods twice-restored(-2)?, twice-restored(-2)? still run: .* twins,/,
  );
  assert.equal(rig.worker.executes(third.restoredPodUID!), true);
  assertOnlyRestored();
});

test('while the original runs: a warning, no labels that its Service or owner would know, and the original is left alone', async () => {
  const pod = await rig.runningPod('original');
  await saveCheckpoint(rig, 'original', pod);
  await restore('original', 'original', 'original');
  const status = await rig.ended('original', 'Succeeded');
  assert.match(
    status.warnings?.[0] ?? '',
    /^Pod original still runs: the two are twins, with the same memory/,
  );
  const restored = await rig.client.pods.get('original-restored', 'default');
  assert.equal(restored.metadata.labels, undefined);
  assert.match(
    status.specChanges?.at(-1) ?? '',
    /^Without the labels app=original: pod original runs, .* kubectl label pod original-restored app=original\.$/,
  );
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
  assert.equal(rig.master.executes(restored.metadata.uid!), true);
  assert.equal((await rig.client.pods.get('original', 'default')).metadata.uid, pod.metadata.uid);
  assertOnlyRestored();
});

test('an archive that lies on one node only is told with the address of its agent, unless it is restored there', async () => {
  const local = (file: string) => `file:///var/lib/kubelet/checkpoints/${file}`;
  const file = 'checkpoint-local_default-counter-2030-01-01T00:00:00Z.tar';
  await savedAndGone('local', ({ content }) => (content.artifactURI = local(file)));
  await restore('local-away', 'local', 'local');
  await rig.ended('local-away', 'Succeeded');
  const [away] = rig.master.restores[0]!.archives;
  assert.deepEqual(
    [away?.uri, away?.address, away?.nodeName],
    [local(file), `127.0.0.1:${rig.port}`, 'k8s-worker'],
  );
  await restore('local-here', 'local', 'local', { targetNode: 'k8s-worker' });
  await rig.ended('local-here', 'Succeeded');
  const [here] = rig.worker.restores[0]!.archives;
  assert.deepEqual([here?.address, here?.nodeName], ['', '']);
});

test('a node that has not mounted the repository is told the agent of the node that made the archive', async () => {
  await savedAndGone('unmounted');
  rig.master.archives.repositoryProblem = 'The repository is not mounted (simulated).';
  try {
    await restore('unmounted', 'unmounted', 'unmounted');
    await rig.ended('unmounted', 'Succeeded');
  } finally {
    rig.master.archives.repositoryProblem = '';
  }
  const [archive] = rig.master.restores[0]!.archives;
  assert.match(archive?.uri ?? '', /^shared:/);
  assert.equal(archive?.nodeName, 'k8s-worker');
});

test('without a target node the scheduler chooses among the nodes that can, the checkpointed one included', async () => {
  await savedAndGone('anywhere');
  Object.assign(rig.master.behaviour.info, { criuVersion: '', criuProblem: 'criu is not in PATH.' });
  await rig.client.podMigrations.create(
    {
      metadata: { name: 'anywhere', namespace: 'default' },
      spec: { podName: 'anywhere', fromCheckpoint: { kind: 'PodCheckpoint', name: 'anywhere' } },
    },
    'default',
  );
  const status = await rig.ended('anywhere', 'Succeeded');
  assert.equal(status.targetNode, 'k8s-worker');
});

describe('nothing is made', () => {
  const refusals: [
    string,
    string,
    RegExp,
    (podName: string, pod: Pod) => Promise<Partial<PodMigration['spec']>>,
  ][] = [
    [
      'without such a checkpoint',
      'CheckpointNotFound',
      /no PodCheckpoint nothing in namespace default/,
      async () => ({ fromCheckpoint: { kind: 'PodCheckpoint', name: 'nothing' } }),
    ],
    [
      'from a content made by hand that names the archive of another pod',
      'CheckpointNotBound',
      /do not belong to each other/,
      async (name, pod) => {
        await saveCheckpoint(rig, name, pod, ({ content }) => {
          content.artifactURI =
            'shared://99999999-9999-4999-8999-999999999999-counter-2030-01-01T00:00:00Z.tar';
        });
        return {};
      },
    ],
    [
      'from a checkpoint whose contents name another pod',
      'CheckpointNotBound',
      /do not belong to each other/,
      async (name, pod) => {
        await saveCheckpoint(rig, name, pod, ({ podContent }) => {
          podContent.podUID = '99999999-9999-4999-8999-999999999999';
        });
        return {};
      },
    ],
    [
      'from an archive that cannot be restored',
      'NotRestorable',
      /cannot be brought back: It holds no emptyDir\.$/,
      async (name, pod) => {
        await saveCheckpoint(rig, name, pod, ({ content }) => {
          Object.assign(content, { restorable: false, gaps: ['It holds no emptyDir.'] });
        });
        return {};
      },
    ],
    [
      'from an archive without a checksum',
      'NotRestorable',
      /no recorded SHA-256/,
      async (name, pod) => {
        await saveCheckpoint(rig, name, pod, ({ content }) => delete content.sha256);
        return {};
      },
    ],
    [
      'with a name that is taken',
      'NameTaken',
      /There is a pod \S+ already/,
      async (name, pod) => {
        await saveCheckpoint(rig, name, pod);
        return { restoredPodName: name };
      },
    ],
    [
      'on a node without room',
      'NoSpace',
      /k8s-master has 0 MiB free/,
      async (name, pod) => {
        await saveCheckpoint(rig, name, pod);
        Object.assign(rig.master.behaviour.info, { freeBytes: 1000n });
        return {};
      },
    ],
    [
      'on a CPU with less features than the checkpoint was made with',
      'NodesDiffer',
      /lacks what the processes may use.*avx512/,
      async (name, pod) => {
        await saveCheckpoint(rig, name, pod, ({ content }) => {
          content.madeOn = {
            architecture: 'amd64',
            cgroupVersion: 2,
            runtimeName: 'containerd',
            ociRuntime: 'runc',
            criuVersion: '4.2.1',
            cpuModel: 'Larger CPU',
            cpuFlags: ['avx512'],
          };
        });
        return {};
      },
    ],
  ];
  for (const [index, [what, reason, message, arrange]] of refusals.entries()) {
    test(what, async () => {
      const name = `refused-${index}`;
      const pod = await rig.runningPod(name);
      const spec = await arrange(name, pod);
      await restore(name, name, name, spec);
      const status = await rig.ended(name, 'Failed');
      assert.equal(status.reason, reason, status.message);
      assert.match(status.message ?? '', message);
      assert.equal(conditions(status).Accepted, 'False');
      assert.equal(await rig.client.pods.find(`${name}-restored`, 'default'), undefined);
      assert.deepEqual([...rig.worker.calls, ...rig.master.calls], []);
      assert.equal(rig.worker.executes(pod.metadata.uid!), true);
    });
  }
});

test('a restore that fails is revoked, its pod deleted, and the checkpoint stays', async () => {
  await savedAndGone('fails');
  rig.master.behaviour.beforeCommit = () => {
    throw new LpmError('ArtifactInvalid', 'The archive was altered (simulated).');
  };
  await restore('fails', 'fails', 'fails');
  const status = await rig.ended('fails', 'Failed');
  assert.equal(status.reason, 'ArtifactInvalid');
  assert.equal(status.message, 'The archive was altered (simulated). PodCheckpoint fails is as before.');
  assert.equal(rig.master.targets.get(status.restoredPodUID!)?.claim, Claim.CLAIM_REVOKED);
  assert.equal(await rig.client.pods.find('fails-restored', 'default'), undefined);
  assert.equal((await rig.client.podCheckpoints.get('fails', 'default')).status?.phase, 'Succeeded');
  assertOnlyRestored();
  rig.master.behaviour.beforeCommit = () => {};
  await restore('fails-not', 'fails', 'fails');
  assert.equal((await rig.ended('fails-not', 'Succeeded')).restoredPodName, 'fails-restored');
});

test('canceled, or its pod deleted, before the commit: nothing runs and nothing is left', async () => {
  await savedAndGone('given-up');
  for (const how of ['cancel', 'delete pod', 'delete migration'] as const) {
    const name = `given-up-${how.replace(' ', '-')}`;
    const commit = gate();
    rig.master.behaviour.beforeCommit = () => commit.wait;
    await restore(name, 'given-up', 'given-up');
    await rig.inPhase(name, 'RestoreInProgress');
    const uid = (await rig.migration(name)).status!.restoredPodUID!;
    if (how === 'delete pod') await rig.client.pods.delete('given-up-restored', 'default');
    else if (how === 'delete migration') await rig.client.podMigrations.delete(name, 'default');
    else await rig.client.podMigrations.patch(name, 'default', { spec: { cancel: true } });
    if (how === 'delete migration') {
      await eventually('the migration is gone', async () =>
        (await rig.client.podMigrations.find(name, 'default')) ? undefined : true,
      );
    } else {
      const status = await rig.ended(name, 'Failed');
      assert.equal(status.reason, how === 'cancel' ? 'Canceled' : 'TargetPodFailed', status.message);
    }
    commit.open();
    assert.equal(rig.master.executes(uid), false, how);
    assert.equal(await rig.client.pods.find('given-up-restored', 'default'), undefined, how);
  }
});

test('a controller that is restarted at any step completes the restore, once', async () => {
  await savedAndGone('restarted');
  const steps = ['preparing', 'restoring', 'answer lost'] as const;
  for (const [index, step] of steps.entries()) {
    const name = `restarted-${index}`;
    const hold = gate();
    let reached = false;
    const wait = () => {
      reached = true;
      return hold.wait;
    };
    rig.master.behaviour.handlersWait = step !== 'preparing';
    rig.master.behaviour.beforeCommit = step === 'restoring' ? wait : () => {};
    rig.master.behaviour.afterCommit = step === 'answer lost' ? wait : () => {};
    await restore(name, 'restarted', 'restarted');
    const uid = await eventually(`it is ${step}`, async () => {
      const live = await rig.migration(name);
      return step === 'preparing' || reached ? live.status?.restoredPodUID : undefined;
    });
    await rig.controller.stop();
    await rig.startController();
    const target = rig.master.targets.get(uid);
    if (target && step === 'preparing') target.waiting = true;
    hold.open();
    const status = await rig.ended(name, 'Succeeded');
    assert.equal(status.restoredPodUID, uid, 'the same pod');
    assert.equal(rig.master.executes(uid), true);
  }
  const pods = (await rig.client.pods.list({ namespace: 'default' })).items.filter(({ metadata }) =>
    metadata.name.startsWith('restarted-restored'),
  );
  assert.equal(pods.length, steps.length);
});

test('a target that cannot be asked after it may have executed is Stuck until it tells', async () => {
  await savedAndGone('unknown');
  rig.master.behaviour.afterCommit = () => {
    rig.master.stopAgent();
    return new Promise(() => {});
  };
  await restore('unknown', 'unknown', 'unknown', { timeoutSeconds: 10 });
  const stuck = await eventually('it says that it is stuck', async () =>
    (await rig.migration('unknown')).status?.conditions?.find(
      ({ type, status }) => type === 'Stuck' && status === 'True',
    ),
  );
  assert.match(stuck.message, /Revoking the restore on node k8s-master does not succeed/);
  assert.match(
    stuck.message,
    /--keep source if pod unknown-restored is to be given up.*--keep target if it runs there/s,
  );
  const { restoredPodUID } = (await rig.migration('unknown')).status!;
  assert.ok(await rig.client.pods.find('unknown-restored', 'default'), 'it may run');
  rig.master.behaviour.afterCommit = () => {};
  await rig.master.startAgent(rig.port);
  const status = await rig.ended('unknown', 'Succeeded');
  assert.equal(status.restoredPodUID, restoredPodUID);
  assert.equal(rig.master.executes(restoredPodUID!), true);
});

test('canceled while its node cannot be asked, it is given up: its pod is deleted, and that nobody knows is told', async () => {
  await savedAndGone('unwanted');
  rig.master.behaviour.beforeCommit = () => {
    rig.master.stopAgent();
    return new Promise(() => {});
  };
  await restore('unwanted', 'unwanted', 'unwanted');
  await eventually('the agent was asked', async () =>
    rig.master.calls.includes('restore') ? true : undefined,
  );
  await rig.client.podMigrations.patch('unwanted', 'default', { spec: { cancel: true } });
  const status = await rig.ended('unwanted', 'Failed');
  assert.equal(status.reason, 'Canceled');
  assert.match(
    status.message ?? '',
    /was canceled\. Node k8s-master could not be asked: what may run there of pod unwanted-restored ends when it is back\. PodCheckpoint unwanted is as before\.$/,
  );
  assert.equal(await rig.client.pods.find('unwanted-restored', 'default'), undefined);
  rig.master.behaviour.beforeCommit = () => {};
  await rig.master.startAgent(rig.port);
  await eventually('the sweep revokes it', async () =>
    rig.master.targets.get(status.restoredPodUID!)?.claim === Claim.CLAIM_REVOKED ? true : undefined,
  );
});

test('of two controllers that both believe to act, one restores, into one pod', async () => {
  await savedAndGone('two');
  const other = await rig.anotherController(rig.newClient());
  try {
    await restore('two', 'two', 'two');
    const status = await rig.ended('two', 'Succeeded');
    const pods = (await rig.client.pods.list({ namespace: 'default' })).items.filter(({ metadata }) =>
      metadata.name.startsWith('two-restored'),
    );
    assert.deepEqual(
      pods.map(({ metadata }) => metadata.uid),
      [status.restoredPodUID],
    );
    assert.equal(rig.master.executes(status.restoredPodUID!), true);
    assert.ok(rig.master.restores.every(({ pod }) => pod?.uid === status.restoredPodUID));
  } finally {
    await other.stop();
  }
});

test('a checkpoint that is replaced by another of its name before the agent is asked is not restored', async () => {
  const pod = await savedAndGone('replaced');
  rig.master.behaviour.handlersWait = false;
  await restore('replaced', 'replaced', 'replaced');
  const uid = await eventually(
    'its pod is made',
    async () => (await rig.migration('replaced')).status?.restoredPodUID,
  );
  await rig.client.podCheckpoints.delete('replaced', 'default');
  await eventually('the checkpoint and its children are gone', async () =>
    ((await rig.client.podCheckpoints.find('replaced', 'default')) ??
    (await rig.client.containerCheckpoints.find('replaced-counter', 'default')))
      ? undefined
      : true,
  );
  await saveCheckpoint(rig, 'replaced', pod);
  const target = await eventually('its node knows it', async () => rig.master.targets.get(uid));
  target.waiting = true;
  const status = await rig.ended('replaced', 'Failed');
  assert.equal(status.reason, 'CheckpointNotFound');
  assert.match(status.message ?? '', /was deleted, and another one has its name now/);
  assert.deepEqual(rig.master.restores, []);
});

describe('an imported checkpoint', () => {
  /** The pod that the plugin makes. */
  const podFor = (migration: PodMigration, change: (pod: Pod) => void = () => {}): Pod => {
    const pod: Pod = {
      metadata: {
        name: `${migration.spec.podName}-restored`,
        namespace: 'default',
        annotations: { [ANNOTATION.migration]: migration.metadata.uid! },
      },
      spec: {
        nodeName: 'k8s-master',
        runtimeClassName: 'lpm',
        containers: [{ name: 'counter', image: 'busybox:1.35' }],
      },
    };
    change(pod);
    return pod;
  };
  const imported = (name: string) =>
    savedAndGone(name, ({ content, podContent }) => {
      content.via = 'Import';
      delete content.podTemplate;
      delete podContent.podTemplate;
    });
  const waits = (name: string) =>
    eventually(`${name} waits for its pod`, async () =>
      (await rig.migration(name)).status?.conditions?.find(({ reason }) => reason === 'WaitingForPod'),
    );

  test('waits for a pod that somebody makes, says how, and restores into it', async () => {
    await imported('imported');
    const migration = await restore('imported', 'imported', 'imported');
    const { message } = await waits('imported');
    assert.ok(message.includes(`lpm.my.domain/migration: ${migration.metadata.uid}`), message);
    assert.equal(
      await rig.client.pods.find('imported-restored', 'default'),
      undefined,
      'none is made for it',
    );
    const pod = await rig.client.pods.create(podFor(migration), 'default');
    const status = await rig.ended('imported', 'Succeeded');
    assert.equal(status.restoredPodUID, pod.metadata.uid);
    assert.equal(rig.master.executes(pod.metadata.uid!), true);
  });

  const wrong: [string, RegExp, (pod: Pod) => void][] = [
    ['of another image', /has image alpine:3/, (pod) => (pod.spec!.containers[0]!.image = 'alpine:3')],
    ['of another container', /has the containers other/, (pod) => (pod.spec!.containers[0]!.name = 'other')],
    [
      'on another node',
      /is on node k8s-worker, not on k8s-master/,
      (pod) => (pod.spec!.nodeName = 'k8s-worker'),
    ],
    [
      'without the runtime class',
      /has not the runtime class lpm/,
      (pod) => delete pod.spec!.runtimeClassName,
    ],
    [
      'with a folder of its node',
      /hostPath/,
      (pod) => (pod.spec!.volumes = [{ name: 'etc', hostPath: { path: '/etc' } }]),
    ],
  ];
  for (const [index, [what, why, change]] of wrong.entries()) {
    test(`is not restored into a pod ${what}, which is deleted`, async () => {
      const name = `imported-${index}`;
      await imported(name);
      const migration = await restore(name, name, name);
      await waits(name);
      await rig.client.pods.create(podFor(migration, change), 'default');
      const status = await rig.ended(name, 'Failed');
      assert.match(status.message ?? '', why);
      assert.equal(await rig.client.pods.find(`${name}-restored`, 'default'), undefined);
      assert.deepEqual([...rig.worker.restores, ...rig.master.restores], []);
    });
  }

  test('leaves a pod alone that was not made for it, and gives up when none comes', async () => {
    await imported('imported-never');
    await restore('imported-never', 'imported-never', 'imported-never', { timeoutSeconds: 10 });
    await waits('imported-never');
    const other = await rig.runningPod('imported-never-restored');
    const status = await rig.ended('imported-never', 'Failed');
    assert.equal(status.reason, 'TimedOut');
    assert.equal(
      (await rig.client.pods.get('imported-never-restored', 'default')).metadata.uid,
      other.metadata.uid,
    );
  });
});
