import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import { condition, sourceSilent, targetSilent, thawFails, type Status } from '../../plugin/stuck.testing.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';
import { addPod, simulateAnswers, startWorld, type Play, type World } from './world.js';

const sourceKept: Play = [
  {
    status: {
      phase: 'Failed',
      reason: 'TimedOut',
      message: 'The migration was not done within 10 s. Pod counter runs on as before on node k8s-worker.',
    },
  },
];
const targetKept: Play = [
  { status: { phase: 'Succeeded', message: 'Pod counter moved from k8s-worker to k8s-master.' } },
];

describe('kubectl migrate resolve', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let world: World;
  let stop: () => void = () => {};
  before(async () => {
    plugins = await buildPlugins();
  });
  after(() => plugins.remove());
  beforeEach(async () => {
    world = await startWorld();
    await addPod(world.client, 'counter');
  });
  afterEach(async () => {
    stop();
    stop = () => {};
    await world.close();
  });
  const call = (...args: string[]) =>
    kubectl(['migrate', 'resolve', ...args], { links: plugins.links, kubeconfig: world.kubeconfig });
  const create = async (status: Status) => {
    const object: Partial<PodMigration> = {
      metadata: { name: 'counter-x7k2p', namespace: 'default' },
      spec: { podName: 'counter', targetNode: 'k8s-master' },
    };
    await world.client.podMigrations.create(object, 'default');
    await world.client.podMigrations.patchStatus('counter-x7k2p', 'default', status);
  };
  const resolution = async () =>
    (await world.client.podMigrations.get('counter-x7k2p', 'default')).spec.resolution;
  const answers = (play: Play) => (stop = simulateAnswers(world.client, () => play));

  test('keeps the source: says what is at stake, writes it down, follows to the end; exit code 0', async () => {
    await create(targetSilent);
    answers(sourceKept);
    const { code, stdout, stderr } = await call('counter-x7k2p', '--keep', 'source', '--yes');
    assert.equal(code, 0, stderr);
    assert.equal(await resolution(), 'Source');
    assert.match(stderr, /^The migration counter-x7k2p of pod default\/counter is stuck since 2026-/);
    assert.match(stderr, /\nNode k8s-master cannot be asked what became of pod counter-restored there\.\n/);
    assert.match(stderr, /\n {2}kubectl get node k8s-master\n/);
    assert.match(stderr, /\nWARNING: .* TWO copies run\. This cannot be taken back\.\n/);
    assert.match(stderr, /\npodmigration\.lpm\.my\.domain\/counter-x7k2p told to keep the source\n/);
    assert.equal(
      stdout,
      'Resolved the migration counter-x7k2p: the source, pod default/counter, is kept.\nThe migration was not done within 10 s. Pod counter runs on as before on node k8s-worker.\n',
    );
  });

  test('keeps the target, by the name of the pod; exit code 0 with the summary', async () => {
    await create(targetSilent);
    answers(targetKept);
    const { code, stdout, stderr } = await call('pod/counter', '--keep=target', '-y');
    assert.equal(code, 0, stderr);
    assert.equal(await resolution(), 'Target');
    assert.match(stderr, /\nWARNING: .* NO copy is left/);
    assert.match(stdout, /^Migrated pod default\/counter\.\n/);
  });

  test('without a terminal it needs --yes, and nothing is changed', async () => {
    await create(targetSilent);
    const { code, stdout, stderr } = await call('counter-x7k2p', '--keep', 'source');
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /\nWARNING: /);
    assert.match(stderr, /\nerror: There is no terminal on which you could be asked; .*\n.* --yes\.\n$/);
    assert.equal(await resolution(), undefined);
  });

  test('--no-wait and -o print what was written', async () => {
    await create(targetSilent);
    const { code, stdout } = await call('counter-x7k2p', '--keep=source', '-y', '--no-wait', '-o', 'json');
    assert.equal(code, 0);
    assert.equal((JSON.parse(stdout) as PodMigration).spec.resolution, 'Source');
  });

  const refused: [what: string, status: Status, side: string, said: RegExp][] = [
    [
      'a migration that is not stuck',
      { phase: 'RestoreInProgress', message: 'Restoring.' },
      'source',
      /^error: The migration counter-x7k2p is not stuck: /,
    ],
    [
      'the source after the commit',
      sourceSilent,
      'source',
      /^error: The source cannot be kept: the restored processes have executed on node k8s-master/,
    ],
    [
      'the target after its node has revoked it',
      thawFails,
      'target',
      /^error: The target cannot be kept: node k8s-master has confirmed/,
    ],
    [
      'a migration that has ended',
      { phase: 'Failed', reason: 'TimedOut', message: 'Too late.' },
      'source',
      /^error: There is nothing to decide: the migration counter-x7k2p has failed\. Too late\.\n/,
    ],
  ];
  for (const [what, status, side, said] of refused) {
    test(`refuses ${what}, and nothing is changed`, async () => {
      await create(status);
      const { code, stdout, stderr } = await call('counter-x7k2p', '--keep', side, '--yes');
      assert.match(stderr, said);
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.equal(await resolution(), undefined);
    });
  }

  test('what the controller does not take is told with its reason; exit code 1', async () => {
    await create(targetSilent);
    const message = 'The target cannot be kept: node k8s-master has confirmed it (simulated).';
    answers([
      {
        status: {
          conditions: [
            ...(targetSilent.conditions ?? []),
            condition('Resolved', 'False', 'NotPossible', message),
          ],
        },
      },
    ]);
    const { code, stderr } = await call('counter-x7k2p', '--keep', 'target', '--yes');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /\nerror: The target cannot be kept: node k8s-master has confirmed it \(simulated\)\.\nLook/,
    );
  });

  test('when the nodes answer otherwise before it is taken up, that counts; exit code 1', async () => {
    await create(targetSilent);
    answers(targetKept);
    const { code, stdout, stderr } = await call('counter-x7k2p', '--keep', 'source', '--yes');
    assert.equal(code, 1);
    assert.match(stdout, /^Migrated pod/);
    assert.match(
      stderr,
      /\nnote: the nodes answered before the decision was taken up, so the target was kept\.\n$/,
    );
  });
});
