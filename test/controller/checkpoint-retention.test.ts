/** What is kept of users' checkpoints and what is not, against an API server in memory and simulated nodes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
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
  const items = await eventually('one content is left', async () => {
    const list = await rig.client.containerCheckpointContents.list();
    return list.items.length === 1 ? list.items : undefined;
  });
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
  await eventually('the other archive is gone', () => Promise.resolve(archives().length === 1 || undefined));
  closed.open();
  await rig.ended('back', 'Succeeded');
  await eventually('nothing needs it any more, and the limit takes it', () =>
    Promise.resolve(archives().length === 0 || undefined),
  );
  rig.master.behaviour.beforeCommit = () => {};
  await restartWith(unlimited);
});
