/** What is kept of users' checkpoints and what is not, against an API server in memory and simulated nodes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ContainerCheckpointContent } from '../../common/api/schema.js';
import { CHECKPOINT_UID_ANNOTATION, containerContentName } from '../../controller/checkpoint/names.js';
import { ended, takePod } from './checkpoints.js';
import { eventually, gate, Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
});
after(() => rig.stop());

const archives = () => [...rig.worker.archives.all, ...rig.master.archives.local.values()];
const names = async () =>
  (await rig.client.podCheckpoints.list()).items.map(({ metadata }) => metadata.name).sort();
const restartWith = async (retention: { perPod: number; perNamespace: number; totalBytes: number }) => {
  await rig.controller.stop();
  await rig.startController({ retention });
};
const unlimited = { perPod: 0, perNamespace: 0, totalBytes: 0 };
const removeAll = async () => {
  for (const name of await names()) await rig.client.podCheckpoints.delete(name, 'default');
  await eventually('nothing is left', async () => {
    const contents = await rig.client.containerCheckpointContents.list();
    return contents.items.length + archives().length === 0 || undefined;
  });
};

/** LPM_TEST_CHECKPOINTS=50 takes as many as people keep in two months of nights. */
const COUNT = Number(process.env.LPM_TEST_CHECKPOINTS ?? 9);

test('of many checkpoints of a pod the newest five remain: objects, contents and archives', async () => {
  await restartWith({ ...unlimited, perPod: 5 });
  const pod = await rig.runningPod('often');
  for (let n = 1; n <= COUNT; n += 1) {
    const name = `often-${String(n).padStart(2, '0')}`;
    await takePod(rig, name, 'often');
    assert.equal((await ended(rig, name)).status?.phase, 'Succeeded');
  }
  const newest = [4, 3, 2, 1, 0].map((n) => `often-${String(COUNT - n).padStart(2, '0')}`);
  await eventually('five remain', async () => ((await names()).join() === newest.join() ? true : undefined));
  await eventually('everywhere', async () => {
    const [pods, containers, children] = await Promise.all([
      rig.client.podCheckpointContents.list(),
      rig.client.containerCheckpointContents.list(),
      rig.client.containerCheckpoints.list(),
    ]);
    const counts = [pods, containers, children].map(({ items }) => items.length);
    return [...counts, archives().length].every((count) => count === 5) || undefined;
  });
  const removals = (await rig.eventsOf(pod.metadata.uid!)).filter(({ reason }) => reason === 'Retention');
  assert.match(
    removals[0]?.message ?? '',
    /^PodCheckpoint often-01 of pod often was removed: of a pod 5 are kept/,
  );
  assert.ok(
    rig.controller.metrics
      .text()
      .includes(`lpm_checkpoints_removed_total{reason="Retention"} ${COUNT - 5}\n`),
  );
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
  await restartWith(unlimited);
  await removeAll();
});

test('one whose content says Retain stays, and its archive when its object is deleted', async () => {
  await rig.runningPod('retained');
  for (const name of ['keep', 'old', 'new']) {
    await takePod(rig, name, 'retained', name === 'keep' ? { deletionPolicy: 'Retain' } : {});
    await ended(rig, name);
  }
  await restartWith({ ...unlimited, perPod: 1 });
  await eventually('the old one is gone', async () =>
    (await names()).join() === 'keep,new' ? true : undefined,
  );
  await rig.client.podCheckpoints.delete('keep', 'default');
  await rig.client.podCheckpoints.delete('new', 'default');
  await eventually('one archive is left', () => Promise.resolve(archives().length === 1 || undefined));
  const { items } = await rig.client.containerCheckpointContents.list();
  assert.deepEqual(
    items.map(({ spec }) => [spec.containerCheckpointRef.name, spec.deletionPolicy]),
    [['keep-counter', 'Retain']],
  );
  // Whoever decides otherwise later says it on the contents.
  const { items: pods } = await rig.client.podCheckpointContents.list();
  await rig.client.podCheckpointContents.patch(pods[0]!.metadata.name, undefined, {
    spec: { deletionPolicy: 'Delete' },
  });
  await rig.client.containerCheckpointContents.patch(items[0]!.metadata.name, undefined, {
    spec: { deletionPolicy: 'Delete' },
  });
  await eventually('nothing is left', () => Promise.resolve(archives().length === 0 || undefined));
  await restartWith(unlimited);
});

test('what has a time to live goes when that is over, but not while it is restored', async () => {
  const pod = await rig.runningPod('short');
  await takePod(rig, 'short', 'short');
  await ended(rig, 'short');
  const closed = gate();
  rig.master.behaviour.beforeCommit = () => closed.wait;
  await rig.client.podMigrations.create(
    {
      metadata: { name: 'back', namespace: 'default' },
      spec: {
        podName: 'short',
        targetNode: 'k8s-master',
        fromCheckpoint: { kind: 'PodCheckpoint', name: 'short' },
      },
    },
    'default',
  );
  await rig.inPhase('back', 'RestoreInProgress');
  await restartWith({ ...unlimited, totalBytes: 1 });
  await takePod(rig, 'brief', 'short', { ttlSecondsAfterFinished: 0 });
  await eventually('the brief one is gone', async () =>
    (await rig.eventsOf(pod.metadata.uid!)).find(({ reason }) => reason === 'TTLExpired'),
  );
  assert.ok((await names()).includes('short'), 'it is in use');
  await rig.client.podCheckpoints.delete('short', 'default');
  await eventually('the other archive is gone', () => Promise.resolve(archives().length === 1 || undefined));
  closed.open();
  await rig.ended('back', 'Succeeded');
  await eventually('now nothing needs it', () => Promise.resolve(archives().length === 0 || undefined));
  rig.master.behaviour.beforeCommit = () => {};
  await restartWith(unlimited);
});

test('a content that somebody has made by hand removes nothing, whatever it says', async () => {
  await rig.runningPod('victim');
  await takePod(rig, 'victim', 'victim');
  const victim = await ended(rig, 'victim');
  const { items } = await rig.client.containerCheckpointContents.list();
  const { spec, metadata } = items[0]!;
  const uid = '99999999-9999-4999-8999-999999999999';
  const forged = (
    name: string,
    checkpointUid: string,
    ref: ContainerCheckpointContent['spec']['containerCheckpointRef'],
    change: Partial<ContainerCheckpointContent['spec']> = {},
  ) =>
    rig.client.containerCheckpointContents.create({
      metadata: { name, annotations: { [CHECKPOINT_UID_ANNOTATION]: checkpointUid } },
      spec: { ...spec, containerCheckpointRef: ref, ...change },
    });
  const nobody = { namespace: 'default', name: 'nobody', uid };
  await forged('by-hand', victim.metadata.uid!, nobody);
  await forged(containerContentName(uid), victim.metadata.uid!, nobody);
  const own = { ...nobody, uid: spec.containerCheckpointRef.uid };
  await forged('another-name', victim.metadata.uid!, own);
  const { via: _, ...old } = spec;
  await rig.client.containerCheckpointContents.create({
    metadata: {
      name: containerContentName('77777777-7777-4777-8777-777777777777'),
      annotations: metadata.annotations!,
    },
    spec: { ...old, containerCheckpointRef: { ...nobody, uid: '77777777-7777-4777-8777-777777777777' } },
  });
  await takePod(rig, 'other', 'victim');
  await ended(rig, 'other');
  await rig.client.podCheckpoints.delete('other', 'default');
  await eventually('what was to go is gone', () => Promise.resolve(archives().length === 1 || undefined));
  assert.equal(archives()[0]?.uri, spec.artifactURI);

  // Of an archive that nobody's content holds the agent itself knows whose it is.
  const lonely = rig.worker.archives.store(uid, { namespace: 'default', name: 'x', uid }, 'counter', {
    clusterUid: 'another cluster',
    compression: 0,
    encrypt: false,
    podJson: '',
  });
  const stranger = '88888888-8888-4888-8888-888888888888';
  await forged(
    containerContentName(stranger),
    stranger,
    { ...nobody, uid: stranger },
    { artifactURI: lonely.uri },
  );
  await eventually('it says why', async () => {
    const live = await rig.client.containerCheckpointContents.get(containerContentName(stranger));
    return live.status?.conditions?.find(({ type, status }) => type === 'Removed' && status === 'False');
  });
  assert.equal(archives().length, 2);
  rig.worker.archives.repository.delete(lonely.uri);
  for (const { metadata: each } of (await rig.client.containerCheckpointContents.list()).items) {
    if (each.name !== metadata.name)
      await rig.client.containerCheckpointContents.delete(each.name).catch(() => {});
  }
  await removeAll();
});

test('the archive of a node that is gone is removed from the repository by another agent', async () => {
  await rig.runningPod('left');
  await takePod(rig, 'left', 'left');
  await ended(rig, 'left');
  const node = await rig.client.nodes.get('k8s-worker');
  await rig.client.nodes.delete('k8s-worker');
  rig.master.calls.length = 0;
  await rig.client.podCheckpoints.delete('left', 'default');
  await eventually('it is gone', () => Promise.resolve(archives().length === 0 || undefined));
  assert.ok(rig.master.calls.includes('removeArchive'));
  await rig.client.nodes.create({ metadata: { name: 'k8s-worker' }, status: node.status! });
});

test('archives that nothing refers to are swept, and those of another cluster are not', async () => {
  const pod = await rig.runningPod('stray');
  const ref = { namespace: 'default', name: 'stray', uid: pod.metadata.uid! };
  const { uid: clusterUid } = (await rig.client.namespaces.get('kube-system')).metadata;
  const options = { compression: 0, encrypt: false, podJson: '' };
  const uid = '66666666-6666-4666-8666-666666666666';
  rig.worker.archives.store(uid, ref, 'counter', { ...options, clusterUid: clusterUid! });
  const foreign = rig.worker.archives.store(uid, ref, 'counter', { ...options, clusterUid: 'another' });
  await takePod(rig, 'stays', 'stray');
  await ended(rig, 'stays');
  await eventually('the stray one is gone', () => Promise.resolve(archives().length === 2 || undefined));
  const looks = rig.worker.looks;
  await eventually('it was looked at again', () =>
    Promise.resolve(rig.worker.looks >= looks + 8 || undefined),
  );
  assert.equal(archives().length, 2);
  assert.ok(archives().some(({ uri }) => uri === foreign.uri));
  const events = (await rig.eventsOf(pod.metadata.uid!)).filter(({ reason }) => reason === 'ArchiveRemoved');
  assert.equal(events.length, 1);
  assert.match(rig.controller.metrics.text(), /^lpm_repository_swept_total 1$/m);
  rig.worker.archives.repository.delete(foreign.uri);
  // Somebody deletes the content itself: the archive has no other way to go.
  for (const { metadata } of (await rig.client.containerCheckpointContents.list()).items) {
    await rig.client.containerCheckpointContents.delete(metadata.name);
  }
  await eventually('it is swept', () => Promise.resolve(archives().length === 0 || undefined));
});
