/** What a person or a cluster gets wrong: one clear sentence, exit code 1, and the pod runs on untouched. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { run } from '../cluster/run.js';
import { countProblem } from '../support/counts.js';
import { until } from '../support/until.js';
import { needsRoot, startLocal, type Local } from './local.js';

describe('a migration that cannot be', { skip: needsRoot }, () => {
  let it: Local;
  before(async () => {
    it = await startLocal();
    await it.startCounter('counter', 'k8s-worker');
  });
  after(() => it?.down());

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
    assertRefused(['countr', '--to', 'k8s-master'], /countr/, /counter/));

  test('an unknown node is refused with a near name', () =>
    assertRefused(['counter', '--to', 'k8s-mastr'], /k8s-mastr/, /k8s-master/));

  test('a pod that does not run is refused', async () => {
    await it.must('run', 'finished', '--image=busybox:1.35', '--restart=Never', '--', 'true');
    await it.must('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/finished', '--timeout=30s');
    try {
      const { code, stderr } = await it.kubectl('migrate', 'finished', '--to', 'k8s-master');
      assert.equal(code, 1);
      assert.match(stderr, /finished.*(not running|Succeeded)/);
    } finally {
      await it.must('delete', 'pod', 'finished', '--grace-period=1');
    }
  });

  test('a node without CRIU is refused by name', async () => {
    const node = it.cluster.node('k8s-master');
    const places = '/usr/sbin /usr/bin /usr/local/sbin /usr/local/bin';
    const hide = await node.exec([
      'sh',
      '-ec',
      `for d in ${places}; do [ ! -e $d/criu ] || mv $d/criu $d/criu.hidden; done`,
    ]);
    assert.equal(hide.code, 0, hide.stderr);
    try {
      await assertRefused(
        ['counter', '--to', 'k8s-master'],
        /CRIU.*k8s-master|k8s-master.*CRIU/,
        /[Ii]nstall/,
      );
    } finally {
      await node.exec([
        'sh',
        '-c',
        `for d in ${places}; do [ ! -e $d/criu.hidden ] || mv $d/criu.hidden $d/criu; done`,
      ]);
    }
  });

  test('a node without an agent is refused by name', async () => {
    const node = it.cluster.node('k8s-master');
    await node.restartService('agent', { down: true });
    try {
      await assertRefused(
        ['counter', '--to', 'k8s-master'],
        /agent.*k8s-master|k8s-master.*agent/,
        /50051|agent/,
      );
    } finally {
      await node.exec(['rm', '-f', '/run/lpm-node/agent.down']);
    }
  });

  test('a cluster that cannot be reached is said to be so', async () => {
    const { code, stderr } = await run(
      'kubectl',
      ['migrate', 'counter', '--to', 'k8s-master', '--server', 'https://127.0.0.1:1'],
      {
        env: {
          ...process.env,
          KUBECONFIG: it.cluster.kubeconfig,
          PATH: `${it.cluster.layout.bin}:${process.env.PATH ?? ''}`,
        },
      },
    );
    assert.equal(code, 1);
    assert.match(stderr, /127\.0\.0\.1:1.*refused/);
  });

  test('a node that is not ready is refused by name', async () => {
    const kube = it.cluster.client();
    const node = it.cluster.node('k8s-master');
    await node.restartService('kubelet', { down: true });
    const status = await kube.nodes.get('k8s-master');
    const conditions = status.status!.conditions!.map((condition) =>
      condition.type === 'Ready' ? { ...condition, status: 'False', reason: 'KubeletStopped' } : condition,
    );
    // What the node lifecycle controller would write after 40 s.
    await kube.nodes.patchStatus('k8s-master', undefined, { conditions });
    kube.close();
    await assertRefused(['counter', '--to', 'k8s-master'], /k8s-master.*not ready/i, /kubectl/);
  });

  test('a cluster without our definitions is said to be so', async () => {
    await it.must('delete', 'crd', 'podmigrations.lpm.my.domain');
    await assertRefused(['counter', '--to', 'k8s-master'], /not installed/i, /manifests|install/i);
  });
});
