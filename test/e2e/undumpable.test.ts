/** A pod that CRIU cannot dump: it is said why, the pod runs on, and what CRIU wrote can be read afterwards. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { countProblem } from '../support/counts.js';
import { until } from '../support/until.js';
import { skipped, startTestbed, type Testbed } from './testbed.js';

/** Counts, and holds a file open that was removed under the name by which it was opened, but not under its other one. */
const holdsRemovedFile = (name: string, nodeName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 2,
    containers: [
      {
        name: 'counter',
        image: 'busybox:1.35',
        command: [
          '/bin/sh',
          '-c',
          'exec 9>/data/rotated.log; ln /data/rotated.log /data/rotated.log.1; rm /data/rotated.log; ' +
            'COUNT=0; while true; do COUNT=$((COUNT + 1)); echo "Count=$COUNT" >>/data/counter.log; sleep 0.05; done',
        ],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', emptyDir: {} }],
  },
});

describe('a pod that cannot be dumped', { skip: skipped }, () => {
  let it: Testbed;
  before(async () => {
    it = await startTestbed();
    await it.apply(holdsRemovedFile('stubborn', it.source));
    await until('it counts', async () => (await it.countsInFile('stubborn')).length > 5);
  });
  after(() => it?.end());

  test('its migration fails with a sentence and the next step, and it runs on', async () => {
    const { code, stderr } = await it.kubectl('migrate', 'stubborn', '--to', it.target);
    assert.equal(code, 1, stderr);
    assert.match(
      stderr,
      /Container counter cannot be checkpointed: it holds the file \/data\/rotated\.log open, which was removed under that name/,
    );
    assert.match(stderr, /Let the program close and reopen it/);
    const before = (await it.countsInFile('stubborn')).length;
    const counts = await until('it counts on', async () => {
      const now = await it.countsInFile('stubborn');
      return now.length > before + 3 && now;
    });
    assert.equal(countProblem(counts), undefined);
    assert.match(await it.must('get', 'pods', '-o', 'name'), /^pod\/stubborn\n$/, 'no other pod is left');
  });

  test('what CRIU wrote is shown by its pod’s name, in full, and goes with the migration', async () => {
    const { code, stdout, stderr } = await it.kubectl('migrate', 'logs', 'stubborn', '--criu');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^==> dump\.log of container counter on source node \S+ <==\n\(00\.\d+\) /);
    assert.match(
      stdout,
      /Error \(criu\/files-reg\.c:\d+\): Can't create link remap for \/data\/rotated\.log\. Use link-remap option\.\n/,
    );
    assert.match(stdout, /Dumping FAILED\./);
    assert.match(stdout, /\n==> runtime\.log of container counter/);

    const all = await it.kubectl('migrate', 'logs', 'pod/stubborn');
    assert.equal(all.code, 0, all.stderr);
    assert.match(all.stdout, /event of PodMigration\/stubborn-\w+ +Warning +CriuDumpFailed: /);
    assert.match(all.stdout, /\n==> dump\.log of container counter/);

    const name = (await it.must('get', 'podmigrations', '-o', 'jsonpath={.items[0].metadata.name}')).trim();
    await it.must('delete', 'podmigration', name);
    await until('CRIU’s logs are gone', async () => {
      const found = await it.kubectl('get', 'configmap', `${name}-criu-log`);
      return found.code !== 0 && /NotFound/.test(found.stderr);
    });
  });
});
