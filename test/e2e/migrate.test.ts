/** The main job: real kubectl, containerd, runc and CRIU. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { skipped, skippedUnlessLocal, startTestbed, type Testbed } from './testbed.js';

interface Json {
  metadata: { name: string; labels?: Record<string, string> };
  spec: { nodeName: string; containers: { image: string }[] };
  status: {
    phase: string;
    containerStatuses?: { restartCount: number; containerID: string; image: string }[];
    [key: string]: unknown;
  };
}

describe('a counter', { skip: skipped }, () => {
  let it: Testbed;
  before(async () => {
    it = await startTestbed();
  });
  after(() => it?.end());

  const get = async (kind: string, name: string): Promise<Json> =>
    JSON.parse(await it.must('get', kind, name, '-o', 'json')) as Json;

  /** Waits until it has counted on, and asserts that file and log hold 1..N. */
  const assertWhole = async (pod: string): Promise<void> => {
    const before = (await it.countsInFile(pod)).length;
    const counts = await until(`${pod} counts on`, async () => {
      const now = await it.countsInFile(pod);
      return now.length > before + 3 && now;
    });
    assert.equal(countProblem(counts), undefined, 'the file');
    assert.equal(countProblem(await it.countsInLog(pod)), undefined, 'the log');
  };

  test('with a second container beside it migrates as one, and all of it goes on', async () => {
    const counts = (name: string): object => ({
      name,
      image: 'busybox:1.35',
      command: [
        'sh',
        '-c',
        `exec 3>>/data/${name}.log; i=0; while :; do i=$((i+1)); echo Count=$i >&3; echo Count=$i; sleep 0.1; done`,
      ],
      volumeMounts: [{ name: 'data', mountPath: '/data' }],
    });
    await it.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'two' },
      spec: {
        nodeName: it.source,
        terminationGracePeriodSeconds: 1,
        containers: [counts('first'), counts('second')],
        volumes: [{ name: 'data', emptyDir: {} }],
      },
    });
    await it.must('wait', '--for=condition=Ready', 'pod/two', '--timeout=60s');
    const { code, stderr } = await it.kubectl('migrate', 'two', '--to', it.target);
    assert.equal(code, 0, stderr);
    const inFile = async (name: string): Promise<number[]> =>
      countsIn(await it.must('exec', 'two-restored', '-c', 'first', '--', 'cat', `/data/${name}.log`));
    for (const name of ['first', 'second']) {
      const before = (await inFile(name)).length;
      await until(`${name} counts on`, async () => (await inFile(name)).length > before + 3);
      assert.equal(countProblem(await inFile(name)), undefined, `the file of ${name}`);
      const log = countsIn(await it.must('logs', 'two-restored', '-c', name));
      assert.equal(countProblem(log), undefined, `the log of ${name}`);
    }
    const { status } = await get('pod', 'two-restored');
    assert.deepEqual(
      status.containerStatuses?.map(({ restartCount }) => restartCount),
      [0, 0],
    );
    await it.must('delete', 'pod', 'two-restored');
  });

  test('migrates to the other node and arrives whole, as an ordinary pod', async () => {
    await it.startCounter('counter', it.source);
    const counted = (await it.countsInFile('counter')).length;
    const { code, stdout, stderr } = await it.kubectl('migrate', 'counter', '--to', it.target);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /counter-restored/);

    assert.notEqual((await it.kubectl('get', 'pod', 'counter')).code, 0, 'the source pod is gone');
    const pod = await get('pod', 'counter-restored');
    assert.equal(pod.spec.nodeName, it.target);
    assert.equal(pod.status.phase, 'Running');
    assert.equal(pod.spec.containers[0]?.image, 'busybox:1.35');
    assert.equal(pod.metadata.labels?.app, 'counter');
    assert.match(
      await it.must('get', 'pod', 'counter-restored', '-o', 'wide'),
      new RegExp(`1/1 +Running +0 .*${it.target}`),
    );
    assert.equal((await it.must('exec', 'counter-restored', '--', 'hostname')).trim(), 'counter');
    await assertWhole('counter-restored');
    assert.ok((await it.countsInLog('counter-restored')).length > counted, 'old lines and new');
  });

  test('tells what happened in the migration’s status, events and records', async () => {
    const list = JSON.parse(await it.must('get', 'podmigrations', '-o', 'json')) as { items: Json[] };
    const { status, metadata } = list.items[0]!;
    assert.equal(status.phase, 'Succeeded');
    assert.ok((status.downtimeMilliseconds as number) > 0);
    assert.deepEqual(
      (status.phaseTransitions as { phase: string }[]).map(({ phase }) => phase),
      [
        'Pending',
        'CheckpointInProgress',
        'CheckpointCompleted',
        'MigrationInProgress',
        'RestoreInProgress',
        'Succeeded',
      ],
    );
    await it.must('wait', '--for=condition=Complete', `podmigration/${metadata.name}`, '--timeout=5s');
    assert.match(await it.must('get', 'events'), /Committed/);
    const checkpoint = await get('podcheckpoint', status.podCheckpointName as string);
    assert.equal(checkpoint.status.phase, 'Succeeded');
    const content = checkpoint.status.boundContentName as string;
    const { stderr } = await it.kubectl('get', 'podcheckpointcontent', content);
    assert.match(stderr, /NotFound/, 'discarded afterwards');
  });

  test('goes there and back five times in a row, and is restarted from its image when it is killed', async () => {
    let name = 'counter-restored';
    for (let round = 1; round <= 10; round++) {
      const to = round % 2 === 1 ? it.source : it.target;
      const before = await it.countsInFile(name);
      const { code, stderr, stdout } = await it.kubectl('migrate', name, '--to', to, '-o', 'json');
      assert.equal(code, 0, stderr);
      name = (JSON.parse(stdout) as Json).status.restoredPodName as string;
      assert.match(name, /^counter-restored(-\d+)?$/);
      assert.ok((await it.countsInFile(name)).length >= before.length);
    }
    await assertWhole(name);

    const restored = await get('pod', name);
    const old = restored.status.containerStatuses![0]!.containerID;
    await it.must('exec', name, '--', 'kill', '-USR1', '1');
    const again = await until('the container was restarted', async () => {
      const status = (await get('pod', name)).status.containerStatuses?.[0];
      return status?.restartCount === 1 && status.containerID !== old && status;
    });
    assert.match(again.image, /busybox:1\.35/);
    const afresh = await until('it counts from its image', async () => {
      const counts = await it.countsInLog(name);
      return counts.length > 2 && counts;
    });
    assert.equal(afresh[0], 1, 'started anew, from 1');
  });

  test(
    'nothing is left on the nodes but what the running pod needs',
    { skip: skippedUnlessLocal },
    async () => {
      for (const node of it.local().nodes) {
        const find = await node.exec([
          'sh',
          '-c',
          'ls -A /var/lib/lpm/artifacts 2>/dev/null; find /var/lib/lpm -name "*.img"',
        ]);
        assert.equal(find.stdout.trim(), '', `${node.name}: artifacts and CRIU images`);
      }
    },
  );
});
