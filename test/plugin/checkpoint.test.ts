import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';
import { addPod, simulateCheckpoints, startWorld, type World } from './world.js';

describe('kubectl checkpoint', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let world: World;
  let stop: () => void = () => {};
  before(async () => {
    plugins = await buildPlugins();
    world = await startWorld();
    await addPod(world.client, 'counter');
    stop = simulateCheckpoints(world.client);
  });
  after(async () => {
    stop();
    await plugins.remove();
    await world.close();
  });
  const call = (...args: string[]) =>
    kubectl(['checkpoint', ...args], { links: plugins.links, kubeconfig: world.kubeconfig });

  test('follows a checkpoint to its end and tells where the artifacts lie', async () => {
    const { code, stdout, stderr } = await call('pod', 'counter', '--name', 'before-upgrade');
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      'Checkpointed pod default/counter as before-upgrade, 1.2 MiB. The pod runs on.',
      'Content: podcheckpointcontent/pcpc-before-upgrade',
      'CONTAINER   SIZE      ARTIFACT',
      'app         1.2 MiB   /mnt/checkpoints/u-app-20261123160000.tar (shared)',
    ]);
    assert.match(stderr, /^podcheckpoint\.lpm\.my\.domain\/before-upgrade created\n/);
    assert.match(stderr, /Z Succeeded/);
  });

  test('each way of naming the pod makes a checkpoint, and list shows them', async () => {
    for (const args of [['pod/counter'], ['counter'], ['po', 'counter']]) {
      const { code, stdout } = await call(...args, '--no-wait');
      assert.equal(code, 0);
      assert.match(stdout, /^podcheckpoint\.lpm\.my\.domain\/counter-[a-z0-9]{5} created\n$/);
    }
    const { stdout } = await call('list');
    assert.match(stdout, /^NAME +POD +NODE +PHASE +SIZE +AGE\n/);
    assert.ok((stdout.match(/\ncounter-/g) ?? []).length >= 3);
  });

  test('an unknown pod and a taken name are refused', async () => {
    assert.match((await call('pod', 'conuter')).stderr, /Did you mean "counter"\?/);
    await call('counter', '--name', 'twice', '--no-wait');
    const again = await call('counter', '--name', 'twice');
    assert.equal(again.code, 1);
    assert.match(again.stderr, /There is a checkpoint "twice" in namespace "default" already\./);
  });
});
