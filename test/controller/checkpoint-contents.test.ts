/** Contents and archives that are not what they seem, or that nobody needs, against simulated nodes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ContainerCheckpointContent } from '../../common/api/schema.js';
import { CHECKPOINT_UID_ANNOTATION, containerContentName } from '../../controller/checkpoint/names.js';
import { ended, takePod } from './checkpoints.js';
import { eventually, Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
});
after(() => rig.stop());

const archives = () => [...rig.worker.archives.all, ...rig.master.archives.local.values()];

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
  await rig.client.podCheckpoints.delete('victim', 'default');
  await eventually('it is gone', () => Promise.resolve(archives().length === 0 || undefined));
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
