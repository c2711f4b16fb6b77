import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import { condition, sourceSilent, type Status } from '../../plugin/stuck.testing.js';
import { buildPlugins, kubectl, missing, start, until, type Plugins } from './programs.js';
import { addPod, simulateAnswers, startWorld, type Play, type World } from './world.js';

const dumping: Status = {
  phase: 'CheckpointInProgress',
  message: 'Dumping (simulated).',
  sourceNode: 'k8s-worker',
  targetNode: 'k8s-master',
  restoredPodName: 'counter-restored',
};

/** What the controller does with a migration that is canceled in time. */
const rolledBack: Play = [
  {
    status: {
      reason: 'Canceled',
      message: 'Rolling back: Migration counter-aaaaa was canceled.',
      conditions: [condition('RollingBack', 'True', 'Canceled', 'Migration counter-aaaaa was canceled.')],
    },
    thenMs: 50,
  },
  {
    status: {
      phase: 'Failed',
      reason: 'Canceled',
      message: 'Migration counter-aaaaa was canceled. Pod counter runs on as before on node k8s-worker.',
      conditions: [condition('Failed', 'True', 'Canceled', 'Migration counter-aaaaa was canceled.')],
    },
  },
];

describe('kubectl migrate cancel', { skip: await missing('kubectl') }, () => {
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
  const surroundings = () => ({ links: plugins.links, kubeconfig: world.kubeconfig });
  const call = (...args: string[]) => kubectl(['migrate', ...args], surroundings());
  const create = async (name: string, status: Status) => {
    const spec = { podName: 'counter', targetNode: 'k8s-master' };
    await world.client.podMigrations.create({ metadata: { name, namespace: 'default' }, spec }, 'default');
    await world.client.podMigrations.patchStatus(name, 'default', status);
  };
  const spec = async (name: string): Promise<PodMigration['spec']> =>
    (await world.client.podMigrations.get(name, 'default')).spec;
  const answers = (play: Play) => (stop = simulateAnswers(world.client, () => play));

  test('cancels, waits until the pod runs on, and says so; exit code 0', async () => {
    await create('counter-aaaaa', dumping);
    answers(rolledBack);
    const { code, stdout, stderr } = await call('cancel', 'counter-aaaaa');
    assert.equal(code, 0, stderr);
    assert.equal((await spec('counter-aaaaa')).cancel, true);
    assert.equal(
      stdout,
      'Canceled the migration counter-aaaaa of pod default/counter.\nThe pod default/counter runs on, on node k8s-worker, as before.\n',
    );
    assert.match(stderr, /^podmigration\.lpm\.my\.domain\/counter-aaaaa told to cancel\n/);
    assert.match(stderr, /Z Failed: Migration counter-aaaaa was canceled\. Pod counter runs on/);
  });

  test('by its pod the migration that is going on is canceled, not a newer one that was refused', async () => {
    await create('counter-aaaaa', dumping);
    await create('counter-bbbbb', {
      phase: 'Failed',
      reason: 'PodBusy',
      message: 'Another one migrates it.',
    });
    answers(rolledBack);
    assert.equal((await call('cancel', 'pod/counter')).code, 0);
    assert.equal((await spec('counter-aaaaa')).cancel, true);
    assert.equal((await spec('counter-bbbbb')).cancel, undefined);
    const again = await call('cancel', 'pod/counter');
    assert.equal(again.code, 1, 'no migration of it is going on any more');
    assert.match(again.stderr, /^error: The migration counter-\w{5} cannot be canceled any more: it /);
  });

  test('--no-wait asks for it and leaves', async () => {
    await create('counter-aaaaa', dumping);
    const { code, stdout, stderr } = await call('cancel', 'counter-aaaaa', '--no-wait');
    assert.equal(code, 0);
    assert.equal(stdout, 'podmigration.lpm.my.domain/counter-aaaaa told to cancel\n');
    assert.equal(stderr, 'Follow it with: kubectl migrate status counter-aaaaa -w\n');
    assert.equal((await spec('counter-aaaaa')).cancel, true);
  });

  test('after the commit it is refused with the reason, and nothing is changed', async () => {
    await create('counter-aaaaa', sourceSilent);
    const { code, stdout, stderr } = await call('cancel', 'counter-aaaaa');
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.deepEqual(stderr.trimEnd().split('\n'), [
      'error: The migration counter-aaaaa cannot be canceled any more: the restored processes of pod counter-restored execute on node k8s-master.',
      'Follow it to its end with: kubectl migrate status counter-aaaaa -w',
      'Then the pod can be moved back with: kubectl migrate counter-restored --to k8s-worker',
    ]);
    assert.equal((await spec('counter-aaaaa')).cancel, undefined);
  });

  test('a race that is lost is reported with the controller’s reason; exit code 1', async () => {
    await create('counter-aaaaa', dumping);
    const message = 'Migration counter-aaaaa cannot be canceled any more: it executes (simulated).';
    answers([
      {
        status: {
          phase: 'RestoreInProgress',
          conditions: [
            condition('Committed', 'True', 'Committed'),
            condition('Canceled', 'False', 'AlreadyCommitted', message),
          ],
        },
      },
    ]);
    const { code, stdout, stderr } = await call('cancel', 'counter-aaaaa');
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, new RegExp(`\nerror: ${message.replace(/[()]/g, '\\$&')}\nFollow it`));
  });

  test('a pod that does not run on is told; exit code 1', async () => {
    await create('counter-aaaaa', { ...dumping, sourcePodUID: 'another' });
    answers(rolledBack);
    const { code, stdout, stderr } = await call('cancel', 'counter-aaaaa');
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      /\nerror: The migration counter-aaaaa is canceled, but its pod does not run on as it was\.\n/,
    );
    assert.match(stderr, /\nAnother pod has taken the name default\/counter since/);
  });

  test('who follows it is told that it was canceled; exit code 1', async () => {
    await create('counter-aaaaa', dumping);
    const running = start(['migrate', 'status', 'counter-aaaaa', '-w'], surroundings());
    await until(() => running.text().includes('Dumping'), running.text);
    answers(rolledBack);
    await call('cancel', 'counter-aaaaa');
    const { code, stderr } = await running.result;
    assert.equal(code, 1);
    assert.match(
      stderr,
      /\nerror: The migration counter-aaaaa of pod default\/counter was canceled\. Pod counter runs on as before on node k8s-worker\.\nMore with: /,
    );
  });

  test('an unknown name is answered with near ones', async () => {
    await create('counter-aaaaa', dumping);
    const { code, stderr } = await call('cancel', 'counter-aaaab');
    assert.equal(code, 1);
    assert.match(stderr, /There is no migration "counter-aaaab" .*\nDid you mean "counter-aaaaa"/);
  });
});
