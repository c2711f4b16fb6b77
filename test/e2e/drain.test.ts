/**
 * Draining a node with a crowd of real pods: movable, unmovable and guarded ones. LPM_TEST_PODS says how many (30); not part of
 * a plain `npm test` (test/run.mjs), whose test of the same with a simulated controller is test/plugin/drain.test.ts.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { countProblem } from '../support/counts.js';
import { until } from '../support/until.js';
import { skipped, startTestbed, type Testbed } from './testbed.js';

const PODS = Number(process.env.LPM_TEST_PODS ?? 30);
/** Of ten pods two cannot be moved, and one of those is guarded by a budget. */
const UNMOVABLE = Math.max(2, Math.floor(PODS / 5));

describe(`a node with ${PODS} pods`, { skip: skipped }, () => {
  let it: Testbed;
  const movable = Array.from({ length: PODS - UNMOVABLE }, (_, index) => `move-${index + 1}`);
  const fixed = Array.from({ length: UNMOVABLE }, (_, index) => `fixed-${index + 1}`);
  const guarded = fixed.slice(0, Math.ceil(UNMOVABLE / 2));

  const pod = (name: string) => {
    const container = (of: string) => ({
      name: of,
      image: 'busybox:1.35',
      command: [
        '/bin/sh',
        '-c',
        'n=0; while true; do n=$((n + 1)); echo "Count=$n" >> /data/counter.log; sleep 0.2; done',
      ],
      volumeMounts: [{ name: 'data', mountPath: '/data' }],
    });
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { crowd: 'yes', ...(guarded.includes(name) ? { app: 'guarded' } : {}) } },
      spec: {
        nodeName: it.source,
        terminationGracePeriodSeconds: 1,
        containers: [container('counter')],
        volumes: [{ name: 'data', emptyDir: {} }],
        // A namespace that it shares with its host is what cannot be carried.
        ...(fixed.includes(name) ? { hostIPC: true } : {}),
      },
    };
  };
  const podsOn = async (node: string): Promise<string[]> =>
    (
      await it.must(
        ...['get', 'pods', '-l', 'crowd=yes', '--field-selector', `spec.nodeName=${node}`],
        ...['-o', 'jsonpath={.items[*].metadata.name}'],
      )
    )
      .split(' ')
      .filter(Boolean);
  const args = () => [
    ...['migrate', 'drain', it.source, '--to', it.target, '--parallel', '4'],
    ...['-l', 'crowd=yes', '-n', it.namespace],
  ];

  before(async () => {
    it = await startTestbed();
    for (const name of [...movable, ...fixed]) await it.apply(pod(name));
    await it.apply({
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'guard' },
      spec: { minAvailable: guarded.length, selector: { matchLabels: { app: 'guarded' } } },
    });
    await it.must('wait', '--for=condition=Ready', 'pod', '-l', 'crowd=yes', '--timeout=300s');
  });
  after(async () => {
    await it?.must('uncordon', it.source).catch(() => '');
    await it?.end();
  });

  test('is looked at first: the controller says of each pod whether it can be moved', async () => {
    const { code, stdout, stderr } = await it.kubectl(...args(), '--dry-run=server', '-o', 'json');
    assert.equal(code, 0, stderr);
    const { pods } = JSON.parse(stdout) as { pods: { pod: string; outcome: string; why: string }[] };
    const outcomes = (outcome: string) =>
      pods.filter((each) => each.outcome === outcome).map(({ pod }) => pod);
    assert.deepEqual(outcomes('Movable').sort(), [...movable].sort());
    assert.deepEqual(outcomes('Left').sort(), [...fixed].sort());
    assert.match(pods.find(({ pod }) => pod === 'fixed-1')!.why, /hostIPC/);
    assert.equal((await podsOn(it.source)).length, PODS);
  });

  test('can be left in the middle: the terminal is gone, and what is under way goes on', async () => {
    const child = spawn('kubectl', args(), { env: it.env, stdio: 'ignore', detached: true });
    await until('some have moved', async () => (await podsOn(it.target)).length >= 3, {
      timeoutMs: 120_000,
    });
    process.kill(-child.pid!, 'SIGKILL');
    await once(child, 'close');
    await until(
      'those under way have ended',
      async () =>
        !/(Pending|InProgress|Completed) /.test(
          `${await it.must('get', 'podmigrations', '-o', 'jsonpath={.items[*].status.phase}')} `,
        ),
      { timeoutMs: 120_000 },
    );
    assert.ok((await podsOn(it.source)).length > UNMOVABLE, 'there is something left to do');
  });

  test('is emptied by running it again; the rest is listed with reasons, and what is guarded stays', async () => {
    const { code, stdout, stderr } = await it.kubectl(...args());
    assert.equal(code, 1, stderr);
    for (const name of fixed) assert.match(stdout, new RegExp(`^${name} .*Left .*hostIPC`, 'm'));
    await until('the sources are gone', async () => (await podsOn(it.source)).length === UNMOVABLE, {
      timeoutMs: 60_000,
    });
    const there = await podsOn(it.target);
    assert.deepEqual(there.sort(), movable.map((name) => `${name}-restored`).sort());
    for (const name of there) assert.equal(countProblem(await it.countsInFile(name)), undefined, name);

    const rest = await it.kubectl(...args(), '--evict-rest', '--timeout=10s', '-o', 'json');
    assert.equal(rest.code, 1, rest.stderr);
    const { pods } = JSON.parse(rest.stdout) as { pods: { pod: string; outcome: string; why: string }[] };
    for (const { pod: name, outcome, why } of pods) {
      assert.equal(outcome, guarded.includes(name) ? 'Left' : 'Evicted', `${name}: ${why}`);
      if (guarded.includes(name)) assert.match(why, /disruption budget/);
    }
    assert.deepEqual((await podsOn(it.source)).sort(), [...guarded].sort());
  });
});
