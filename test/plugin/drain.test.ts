import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import type { KubeObject } from '../../common/kube/types.js';
import { buildPlugins, kubectl, missing, start, until, type Plugins } from './programs.js';
import { addNode, addPod, goodPlay, simulateController, startWorld, type Play, type World } from './world.js';

/** What the controller refuses before anything is frozen. */
const refusedPlay = (): Play => [
  {
    status: {
      phase: 'Failed',
      reason: 'NotSupportedYet',
      message: 'Pod has 2 containers (app, side); more than one is not supported yet (simulated).',
    },
  },
];

/** The controller's play for a pod that can be moved. */
const movePlay = (pod: string): Play =>
  goodPlay(200).map(({ status, ...rest }) => ({
    ...rest,
    status: { ...status, ...(status.restoredPodName ? { restoredPodName: `${pod}-restored` } : {}) },
  }));

/** The largest number of migrations that were under way at one instant. */
function mostAtATime(migrations: PodMigration[]): number {
  const spans = migrations
    .map(({ status }) => status?.phaseTransitions ?? [])
    .filter(({ length }) => length > 1);
  const from = (span: (typeof spans)[number]) => Date.parse(span[0]!.transitionTime);
  const to = (span: (typeof spans)[number]) => Date.parse(span.at(-1)!.transitionTime);
  return Math.max(
    ...spans.map((one) => spans.filter((other) => from(other) <= from(one) && from(one) < to(other)).length),
  );
}

describe('kubectl migrate drain', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let world: World;
  let stop: () => Promise<void>;
  /** Pods whose migrations the controller began. */
  const begun: string[] = [];
  const surroundings = () => ({ links: plugins.links, kubeconfig: world.kubeconfig });
  const call = (...args: string[]) => kubectl(['migrate', 'drain', ...args], surroundings());
  const podsOn = async (node: string) =>
    (await world.client.pods.list({ fieldSelector: `spec.nodeName=${node}` })).items.map(
      ({ metadata }) => metadata.name,
    );

  const addDaemonSet = async (name: string): Promise<void> => {
    const labels = { app: name };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'busybox:1.35' }] } };
    const { metadata } = await world.client.json<KubeObject>(
      'POST',
      '/apis/apps/v1/namespaces/default/daemonsets',
      {
        body: {
          apiVersion: 'apps/v1',
          kind: 'DaemonSet',
          metadata: { name },
          spec: { selector: { matchLabels: labels }, template },
        },
      },
    );
    const owner = { apiVersion: 'apps/v1', kind: 'DaemonSet', name, uid: metadata.uid!, controller: true };
    await world.client.pods.create(
      {
        metadata: { name: `${name}-x1`, namespace: 'default', labels, ownerReferences: [owner] },
        spec: { ...template.spec, nodeName: 'k8s-worker' },
      },
      'default',
    );
    await world.client.pods.patchStatus(`${name}-x1`, 'default', { phase: 'Running' });
  };

  before(async () => {
    plugins = await buildPlugins();
    world = await startWorld();
    for (const node of ['k8s-worker', 'k8s-master']) await addNode(world.client, node);
    for (let index = 1; index <= 20; index++)
      await addPod(world.client, `move-${String(index).padStart(2, '0')}`);
    for (let index = 1; index <= 6; index++) await addPod(world.client, `fixed-${index}`);
    await addPod(world.client, 'elsewhere', { node: 'k8s-master' });
    await addPod(world.client, 'over', { phase: 'Succeeded' });
    await addDaemonSet('ds');
    const stopPlaying = simulateController(world.client, ({ spec: { podName } }) => {
      begun.push(podName);
      return podName.startsWith('fixed') ? refusedPlay() : movePlay(podName);
    });
    // The controller deletes the source of a migration that succeeded, and the kubelet ends what is deleted.
    const remove = (name: string) =>
      world.client.pods.delete(name, 'default', { gracePeriodSeconds: 0 }).catch(() => {});
    let playing = true;
    const ending = (async () => {
      while (playing) {
        const [migrations, pods] = await Promise.all([
          world.client.podMigrations.list(),
          world.client.pods.list(),
        ]);
        const moved = new Set(
          migrations.items
            .filter(({ status }) => status?.phase === 'Succeeded')
            .map(({ spec }) => spec.podName),
        );
        for (const { metadata } of pods.items) {
          if (metadata.deletionTimestamp || moved.has(metadata.name)) await remove(metadata.name);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    stop = () => {
      playing = false;
      stopPlaying();
      return ending;
    };
  });
  after(async () => {
    await stop();
    await plugins.remove();
    await world.close();
  });

  test('a dry run changes nothing and says what would be', async () => {
    const { code, stdout, stderr } = await call('k8s-worker', '--dry-run=client');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^node\/k8s-worker cordoned \(dry run\)$/m);
    assert.match(stdout, /^POD +NAMESPACE +OUTCOME +WHY$/m);
    assert.match(stdout, /^ds-x1 +default +Left +Of DaemonSet ds, which has one pod on each node\.$/m);
    assert.match(stdout, /^move-01 +default +Movable +If the controller finds nothing against it\.$/m);
    assert.equal((await world.client.nodes.get('k8s-worker')).spec?.unschedulable, undefined);
    assert.equal((await world.client.podMigrations.list()).items.length, 0);
  });

  test('a node that does not exist is answered with near ones', async () => {
    const { code, stderr } = await call('k8s-wroker');
    assert.equal(code, 1);
    assert.match(stderr, /There is no node "k8s-wroker" in this cluster\.\nDid you mean "k8s-worker"\?/);
  });

  test('left in the middle, it begins nothing more, and what is under way goes on', async () => {
    const running = start(['migrate', 'drain', 'k8s-worker', '--parallel', '3'], surroundings());
    await until(
      () => /move-\d\d: done/.test(running.text()),
      () => running.text(),
    );
    process.kill(-running.child.pid!, 'SIGINT');
    const { code, stdout, stderr } = await running.result;
    assert.equal(code, 130, stderr);
    assert.match(stderr, /Go on with: kubectl migrate drain k8s-worker\n$/);
    assert.match(stdout, /Unfinished/);
    const { items } = await world.client.podMigrations.list();
    assert.ok(items.length < 20, `${items.length} migrations were begun`);
    assert.equal((await world.client.nodes.get('k8s-worker')).spec?.unschedulable, true);
  });

  test('called again it goes on: what can be moved is moved, the rest is listed with reasons', async () => {
    // The controller says that a pod has moved only when its source is gone; the simulated one is a moment late.
    let late: string[] = [];
    await until(
      async () => {
        const { items } = await world.client.podMigrations.list();
        const left = await podsOn('k8s-worker');
        late = items
          .map(({ spec }) => spec.podName)
          .filter((pod) => pod.startsWith('move') && left.includes(pod));
        return late.length === 0;
      },
      () => late.join(' '),
    );
    const { code, stdout, stderr } = await call('k8s-worker', '--parallel', '4');
    // The pods that the controller refuses are still there.
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^node\/k8s-worker already cordoned$/m);
    assert.match(stdout, /^fixed-1 +default +Left .*more than one is not supported yet/m);
    assert.match(stdout, /^move-20 +default +Moved +k8s-master +446 ms$/m);
    assert.match(stderr, /k8s-worker: \d+ moved, 8 left\. 6 pods still run on it\.\n$/);
    const staying = ['ds-x1', ...[1, 2, 3, 4, 5, 6].map((n) => `fixed-${n}`), 'over'];
    let there: string[] = [];
    // The simulated controller takes the sources away a moment after it has said that they moved.
    await until(
      async () => (there = (await podsOn('k8s-worker')).sort()).join() === staying.join(),
      () => there.join(' '),
    );
    assert.deepEqual(await podsOn('k8s-master'), ['elsewhere']);
    const moved = begun.filter((pod) => pod.startsWith('move'));
    assert.equal(new Set(moved).size, 20);
    assert.equal(moved.length, 20, 'no pod was moved twice');
    const most = mostAtATime((await world.client.podMigrations.list()).items);
    assert.ok(most >= 2 && most <= 4, `${most} at a time`);
  });

  test('the rest is evicted if that is wished, but for what a budget guards', async () => {
    const guarded = {
      metadata: { name: 'guard', namespace: 'default' },
      spec: { minAvailable: 1, selector: { matchLabels: { app: 'guarded' } } },
    };
    await world.client.json('POST', '/apis/policy/v1/namespaces/default/poddisruptionbudgets', {
      body: { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', ...guarded },
    });
    await world.client.pods.patch('fixed-6', 'default', { metadata: { labels: { app: 'guarded' } } });
    const { code, stdout, stderr } = await call(
      'k8s-worker',
      '--evict-rest',
      '--parallel',
      '8',
      '--timeout',
      '10s',
      '-o',
      'json',
    );
    assert.equal(code, 1, stderr);
    const { pods } = JSON.parse(stdout) as { pods: { pod: string; outcome: string; why: string }[] };
    const outcome = (name: string) => pods.find(({ pod }) => pod === name);
    assert.equal(outcome('fixed-1')?.outcome, 'Evicted');
    assert.equal(outcome('fixed-6')?.outcome, 'Left');
    assert.match(outcome('fixed-6')!.why, /disruption budget/);
    assert.equal(outcome('ds-x1')?.outcome, 'Left');
    assert.deepEqual((await podsOn('k8s-worker')).sort(), ['ds-x1', 'fixed-6', 'over']);
  });

  test('several pods are moved by name, by label and all at once', async () => {
    const migrate = (...args: string[]) => kubectl(['migrate', ...args], surroundings());
    for (const name of ['some-1', 'some-2', 'some-3']) {
      await addPod(world.client, name, { node: 'k8s-master' });
      await world.client.pods.patch(name, 'default', { metadata: { labels: { app: 'some' } } });
    }
    const wrong = await migrate('pod/some-1', 'pod/smoe-2', '--to', 'k8s-worker');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /There is no pod "smoe-2".*\nDid you mean "some-2"/);
    assert.ok(!begun.includes('some-1'), 'a slip in one name moves none of the others');

    const two = await migrate('pod', 'some-1', 'some-2', '--to', 'k8s-worker');
    assert.equal(two.code, 0, two.stderr);
    assert.match(
      two.stdout,
      /^POD +NAMESPACE +OUTCOME +NODE +DOWNTIME\nsome-1 +default +Moved .*\nsome-2 +default +Moved /,
    );
    assert.match(two.stderr, /\n2 moved of 2 pods\.\n$/);
    await until(
      async () => !(await podsOn('k8s-master')).some((name) => name === 'some-1' || name === 'some-2'),
      () => 'their sources go',
    );

    await world.client.pods.patch('fixed-6', 'default', { metadata: { labels: { app: 'some' } } });
    const rest = await migrate('-l', 'app=some', '--parallel', '4', '-o', 'json');
    assert.equal(rest.code, 1);
    const { pods } = JSON.parse(rest.stdout) as { pods: { pod: string; outcome: string }[] };
    assert.deepEqual(
      pods.map(({ pod, outcome }) => `${pod} ${outcome}`),
      ['fixed-6 Left', 'some-3 Moved'],
    );
    assert.match((await migrate('--all', 'some-3')).stderr, /Either names or --all: what is "some-3"\?/);
  });
});
