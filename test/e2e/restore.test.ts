/** Saved checkpoints that are brought back: real kubectl, containerd, runc and CRIU. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import { memoryImage } from '../cluster/images/images.js';
import { countProblem } from '../support/counts.js';
import { until } from '../support/until.js';
import { skippedUnlessLocal, startTestbed, type Testbed } from './testbed.js';

type Status = NonNullable<PodMigration['status']>;
const MEGABYTES = 200;

describe('a saved checkpoint', { skip: skippedUnlessLocal }, () => {
  let it: Testbed;
  before(async () => {
    it = await startTestbed();
  });
  after(() => it?.end());

  const get = async <T>(kind: string, name: string): Promise<T> =>
    JSON.parse(await it.must('get', kind, name, '-o', 'json')) as T;

  /** Takes a checkpoint and answers the URI of its archive. */
  const save = async (name: string, podName: string): Promise<string> => {
    await it.apply({
      apiVersion: 'lpm.my.domain/v1',
      kind: 'PodCheckpoint',
      metadata: { name },
      spec: { podName },
    });
    const { status } = await until(
      `checkpoint ${name} ends`,
      async () => {
        const live = await get<{ status?: { phase?: string; message?: string } }>('podcheckpoint', name);
        return ['Succeeded', 'Failed'].includes(live.status?.phase ?? '') && live;
      },
      { timeoutMs: 120_000 },
    );
    assert.equal(status?.phase, 'Succeeded', status?.message);
    const child = await get<{ status: { boundContentName: string } }>(
      'containercheckpoint',
      `${name}-${podName.startsWith('memory') ? 'memory' : 'counter'}`,
    );
    const content = await get<{ spec: { artifactURI: string } }>(
      'containercheckpointcontent',
      child.status.boundContentName,
    );
    return content.spec.artifactURI;
  };
  const restore = async (
    name: string,
    podName: string,
    checkpoint: string,
    node: string,
  ): Promise<Status> => {
    await it.apply({
      apiVersion: 'lpm.my.domain/v1',
      kind: 'PodMigration',
      metadata: { name },
      spec: { podName, targetNode: node, fromCheckpoint: { kind: 'PodCheckpoint', name: checkpoint } },
    });
    const { status } = await until(
      `restore ${name} ends`,
      async () => {
        const live = await get<PodMigration>('podmigration', name);
        return ['Succeeded', 'Failed'].includes(live.status?.phase ?? '') && live;
      },
      { timeoutMs: 180_000 },
    );
    assert.equal(status?.phase, 'Succeeded', JSON.stringify(status, undefined, 1));
    return status!;
  };
  /** Waits until it has counted on after the checkpoint, and asserts that file and log hold 1..N. */
  const assertCountsOn = async (pod: string, from: number): Promise<void> => {
    const counts = await until(`${pod} counts on`, async () => {
      const now = await it.countsInFile(pod);
      return now.length > from + 3 && now;
    });
    assert.equal(countProblem(counts), undefined, `the file of ${pod}`);
    assert.equal(countProblem(await it.countsInLog(pod)), undefined, `the log of ${pod}`);
  };
  const beatsOf = async (pod: string): Promise<{ beat: number; sum: string; state: string }[]> =>
    [
      ...(await it.must('exec', pod, '--', 'cat', '/data/memory.log')).matchAll(
        /^(\d+) uptime=\S+ mb=\d+ sum=(\d+) (\w+)$/gm,
      ),
    ].map(([, beat, sum = '', state = '']) => ({ beat: Number(beat), sum, state }));

  test('of a counter and of 200 MB of memory with an open file: deleted, brought back on the other node, and whole', async () => {
    await it.apply(memoryPod('memory', it.source));
    await it.startCounter('counter', it.source);
    // Every megabyte is looked at once before, and once more afterwards.
    const before = await until(
      'the memory is filled, and each megabyte was looked at',
      async () => {
        const beats = await beatsOf('memory');
        return beats.length > MEGABYTES && beats;
      },
      { timeoutMs: 240_000, everyMs: 1000 },
    );
    const [uri] = await Promise.all([save('counter', 'counter'), save('memory', 'memory')]);
    assert.match(uri, /^shared:\/\//);
    const counted = (await it.countsInFile('counter')).length;
    await it.must('delete', 'pod', 'counter', 'memory', '--grace-period=1', '--timeout=120s');

    const back = await restore('counter', 'counter', 'counter', it.target);
    assert.equal(back.restoredPodName, 'counter-restored');
    assert.deepEqual(
      back.phaseTransitions?.map(({ phase }) => phase),
      ['Pending', 'MigrationInProgress', 'RestoreInProgress', 'Succeeded'],
    );
    assert.equal(back.warnings?.some((warning) => warning.includes('twins')) ?? false, false);
    const pod = await get<{
      metadata: { labels?: Record<string, string> };
      spec: { nodeName: string; containers: { image: string }[] };
    }>('pod', 'counter-restored');
    assert.equal(pod.spec.nodeName, it.target);
    assert.equal(pod.spec.containers[0]?.image, 'busybox:1.35');
    assert.equal(pod.metadata.labels?.app, 'counter');
    assert.equal((await it.must('exec', 'counter-restored', '--', 'hostname')).trim(), 'counter');
    await assertCountsOn('counter-restored', Math.max(0, counted - 20));

    await restore('memory', 'memory', 'memory', it.target);
    const after = await until(
      'each megabyte was looked at again',
      async () => {
        const beats = await beatsOf('memory-restored');
        return beats.length > before.length + MEGABYTES && beats;
      },
      { timeoutMs: 240_000, everyMs: 1000 },
    );
    after.forEach(({ beat, state }, index) => assert.deepEqual([beat, state], [index + 1, 'ok']));
    const sums = new Map(before.map(({ beat, sum }) => [beat % MEGABYTES, sum]));
    for (const { beat, sum } of after)
      assert.equal(sum, sums.get(beat % MEGABYTES), `megabyte of beat ${beat}`);
    await it.must('delete', 'pod', 'memory-restored', '--grace-period=1', '--wait=false');
  });

  test('is brought back a second time: two twins, both whole', async () => {
    const status = await restore('counter-again', 'counter', 'counter', it.source);
    assert.equal(status.restoredPodName, 'counter-restored-2');
    assert.match(status.warnings?.join(' ') ?? '', /Pod counter-restored still runs: the two are twins/);
    for (const pod of ['counter-restored', 'counter-restored-2']) {
      await assertCountsOn(pod, (await it.countsInFile(pod)).length);
    }
  });

  test('is brought back beside its original, which runs on: a warning, and no labels', async () => {
    await it.startCounter('running', it.source);
    await save('running', 'running');
    const status = await restore('running', 'running', 'running', it.target);
    assert.match(status.warnings?.join(' ') ?? '', /Pod running still runs: the two are twins/);
    for (const pod of ['running', 'running-restored']) {
      await assertCountsOn(pod, (await it.countsInFile(pod)).length);
    }
    const { metadata } = await get<{ metadata: { labels?: object } }>('pod', 'running-restored');
    assert.equal(metadata.labels, undefined);
  });

  test('comes from the agent of its node when the repository is not mounted there, or not on the target', async () => {
    const [target] = [it.local().node(it.target)];
    await it.startCounter('far', it.source);
    assert.match(await save('shared', 'far'), /^shared:\/\//);
    // For the agent and for whatever else looks from the node.
    const unmounted = await target.exec(['umount', '-l', '/mnt/checkpoints']);
    assert.equal(unmounted.code, 0, unmounted.stderr);
    const first = await restore('shared', 'far', 'shared', it.target);
    await assertCountsOn(first.restoredPodName!, 0);

    await it.local().node(it.source).exec(['umount', '-l', '/mnt/checkpoints']);
    assert.match(await save('local', 'far'), /^file:\/\/\/var\/lib\/kubelet\/checkpoints\//);
    const second = await restore('local', 'far', 'local', it.target);
    await assertCountsOn(second.restoredPodName!, 0);
    const third = await restore('local-here', 'far', 'local', it.source);
    await assertCountsOn(third.restoredPodName!, 0);
  });
});

const memoryPod = (name: string, nodeName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'memory',
        image: memoryImage,
        args: [String(MEGABYTES)],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', emptyDir: {} }],
  },
});
