/** What a person or a cluster gets wrong: one clear sentence, exit code 1, and the pod runs on untouched. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { countProblem } from '../support/counts.js';
import { until } from '../support/until.js';
import { skipped, skippedUnlessLocal, startTestbed, type Testbed } from './testbed.js';

describe('a migration that cannot be', { skip: skipped }, () => {
  let it: Testbed;
  before(async () => {
    it = await startTestbed();
    await it.startCounter('counter', it.source);
  });
  after(() => it?.end());

  /** Asks for it and asserts the refusal, and that the counter has not noticed. */
  const assertRefused = async (args: string[], sentence: RegExp, nextStep: RegExp): Promise<void> => {
    const before = (await it.countsInFile('counter')).length;
    const id = await containerId();
    const { code, stdout, stderr } = await it.kubectl('migrate', ...args);
    assert.equal(code, 1, `exit code of: ${stdout}${stderr}`);
    assert.match(stderr, sentence);
    assert.match(stderr, nextStep);
    assert.doesNotMatch(stderr, /^\s+at /m, 'no stack trace');
    const counts = await until('the counter counts on', async () => {
      const now = await it.countsInFile('counter');
      return now.length > before && now;
    });
    assert.equal(countProblem(counts), undefined);
    assert.equal(await containerId(), id, 'the container was not restarted');
    assert.match(await it.must('get', 'pods', '-o', 'name'), /^pod\/counter\n$/, 'no other pod is left');
  };
  const containerId = (): Promise<string> =>
    it.must('get', 'pod', 'counter', '-o', 'jsonpath={.status.containerStatuses[0].containerID}');

  test('an unknown pod is refused with a near name', () =>
    assertRefused(['countr', '--to', it.target], /countr/, /counter/));

  test('an unknown node is refused with a near name', () => {
    const near = `${it.target}x`;
    return assertRefused(['counter', '--to', near], new RegExp(near), new RegExp(`${it.target}\\b`));
  });

  test('a pod that does not run is refused', async () => {
    await it.must('run', 'finished', '--image=busybox:1.35', '--restart=Never', '--', 'true');
    await it.must('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/finished', '--timeout=30s');
    try {
      const { code, stderr } = await it.kubectl('migrate', 'finished', '--to', it.target);
      assert.equal(code, 1);
      assert.match(stderr, /finished.*(not running|Succeeded)/);
    } finally {
      await it.must('delete', 'pod', 'finished', '--grace-period=1');
    }
  });

  test('a node without CRIU is refused by name', { skip: skippedUnlessLocal }, async () => {
    const node = it.local().node(it.target);
    const places = '/usr/sbin /usr/bin /usr/local/sbin /usr/local/bin';
    const hide = await node.exec([
      'sh',
      '-ec',
      `for d in ${places}; do [ ! -e $d/criu ] || mv $d/criu $d/criu.hidden; done`,
    ]);
    assert.equal(hide.code, 0, hide.stderr);
    try {
      await assertRefused(['counter', '--to', it.target], /CRIU.*k8s-master|k8s-master.*CRIU/, /[Ii]nstall/);
    } finally {
      await node.exec([
        'sh',
        '-c',
        `for d in ${places}; do [ ! -e $d/criu.hidden ] || mv $d/criu.hidden $d/criu; done`,
      ]);
    }
  });

  test('a node without an agent is refused by name', { skip: skippedUnlessLocal }, async () => {
    const { agents } = it.local();
    await agents.stop(it.target);
    try {
      await assertRefused(
        ['counter', '--to', it.target],
        /agent.*k8s-master|k8s-master.*agent/,
        /50051|agent/,
      );
    } finally {
      await agents.start(it.target);
    }
  });

  test('a dry run makes every check on the nodes themselves, and touches nothing', async () => {
    const id = await containerId();
    // Migrations that were refused stay to be looked at.
    const there = await it.must('get', 'pods,podmigrations', '-o', 'name');
    // An agent that an earlier test has stopped may just be coming up again.
    const { stdout, stderr } = await until('every check passes', async () => {
      const now = await it.kubectl('migrate', 'counter', '--to', it.target, '--dry-run');
      return now.code === 0 && now;
    });
    assert.match(stdout, new RegExp(`^TargetNode +(Pass|Warn) +.*${it.target}`, 'm'));
    assert.match(stdout, /^TargetPod +Pass +The API server would accept pod counter-restored\.$/m);
    assert.match(stderr, /Nothing was changed\./);
    assert.equal(await containerId(), id, 'the container was not restarted');
    assert.equal(await it.must('get', 'pods,podmigrations', '-o', 'name'), there);
  });

  test(
    'a folder of the node is taken for the same only when somebody says so, and rolled back where it is not',
    { skip: skippedUnlessLocal },
    async () => {
      const { nodes } = it.local();
      for (const node of nodes) {
        const made = await node.exec([
          'sh',
          '-ec',
          'mkdir -p /srv/lpm; echo the same everywhere > /srv/lpm/data',
        ]);
        assert.equal(made.code, 0, made.stderr);
      }
      // Holds the file open and counts.
      const script =
        'exec 3</shared/data; n=0; while true; do n=$((n + 1)); echo "Count=$n" >> /data/counter.log; sleep 0.05; done';
      await it.apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'shared' },
        spec: {
          nodeName: it.source,
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'counter',
              image: 'busybox:1.35',
              command: ['/bin/sh', '-c', script],
              volumeMounts: [
                { name: 'shared', mountPath: '/shared' },
                { name: 'data', mountPath: '/data' },
              ],
            },
          ],
          volumes: [
            { name: 'shared', hostPath: { path: '/srv/lpm', type: 'Directory' } },
            { name: 'data', emptyDir: {} },
          ],
        },
      });
      try {
        await until('it counts', async () => (await it.countsInFile('shared')).length > 5);
        const refused = await it.kubectl('migrate', 'shared', '--to', it.target);
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, /is a folder of the node \(hostPath\).*\n.*--allow-host-path/s);

        const target = it.local().node(it.target);
        await target.exec(['sh', '-c', 'echo something else altogether > /srv/lpm/data']);
        const differs = await it.kubectl('migrate', 'shared', '--to', it.target, '--allow-host-path');
        assert.equal(differs.code, 1, differs.stdout);
        assert.match(differs.stderr, /The pod .*\/shared runs on|runs on as before/);

        await target.exec(['sh', '-c', 'echo the same everywhere > /srv/lpm/data']);
        const moved = await it.kubectl('migrate', 'shared', '--to', it.target, '--allow-host-path');
        assert.equal(moved.code, 0, moved.stderr);
        const counts = await it.countsInFile('shared-restored');
        assert.equal(countProblem(counts), undefined);
        assert.match(
          await it.must('exec', 'shared-restored', '--', 'cat', '/proc/1/fd/3'),
          /^the same everywhere\n$/,
        );
      } finally {
        await it.must('delete', 'pod', 'shared', 'shared-restored', '--ignore-not-found', '--grace-period=1');
        await it.must('delete', 'podmigrations', '--all');
      }
    },
  );

  test('a cluster that cannot be reached is said to be so', async () => {
    const { code, stderr } = await it.kubectl(
      'migrate',
      'counter',
      '--to',
      it.target,
      '--server',
      'https://127.0.0.1:1',
    );
    assert.equal(code, 1);
    assert.match(stderr, /127\.0\.0\.1:1.*refused/);
  });

  test('a node that is not ready is refused by name', { skip: skippedUnlessLocal }, async () => {
    const kube = it.local().client();
    const node = it.local().node(it.target);
    await node.restartService('kubelet', { down: true });
    const status = await kube.nodes.get(it.target);
    const conditions = status.status!.conditions!.map((condition) =>
      condition.type === 'Ready' ? { ...condition, status: 'False', reason: 'KubeletStopped' } : condition,
    );
    // What the node lifecycle controller would write after 40 s.
    await kube.nodes.patchStatus(it.target, undefined, { conditions });
    kube.close();
    await assertRefused(['counter', '--to', it.target], /k8s-master.*not ready/i, /kubectl/);
  });

  test('a cluster without our definitions is said to be so', { skip: skippedUnlessLocal }, async () => {
    await it.must('delete', 'crd', 'podmigrations.lpm.my.domain');
    await assertRefused(['counter', '--to', it.target], /not installed/i, /manifests|install/i);
  });
});
