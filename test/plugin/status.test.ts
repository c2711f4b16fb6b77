import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import type { CoreEvent } from '../../common/kube/types.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';
import {
  addNamespace,
  addPod,
  failingPlay,
  goodPlay,
  simulateController,
  startWorld,
  type World,
} from './world.js';

describe('kubectl migrate status and list', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let world: World;
  const call = (...args: string[]) =>
    kubectl(['migrate', ...args], { links: plugins.links, kubeconfig: world.kubeconfig });
  const create = async (name: string, podName: string, namespace = 'default') => {
    await world.client.podMigrations.create(
      { metadata: { name, namespace }, spec: { podName, targetNode: 'k8s-master' } } as PodMigration,
      namespace,
    );
  };
  before(async () => {
    plugins = await buildPlugins();
    world = await startWorld();
    await addPod(world.client, 'bad');
    await addNamespace(world.client, 'shop');
    const stop = simulateController(world.client, ({ metadata }) =>
      metadata.name.startsWith('bad')
        ? failingPlay()
        : metadata.name.startsWith('slow')
          ? [{ status: { phase: 'Pending', message: 'Waiting for an image (simulated).' } }]
          : goodPlay(120),
    );
    await create('counter-aaaaa', 'counter');
    await create('bad-bbbbb', 'bad');
    await create('slow-ccccc', 'slow');
    await create('web-ddddd', 'web', 'shop');
    for (const name of ['counter-aaaaa', 'bad-bbbbb']) await call('status', name, '-w');
    await call('status', 'web-ddddd', '-w', '-n', 'shop');
    stop();
  });
  after(async () => {
    await plugins.remove();
    await world.close();
  });

  test('status tells phases with their times, the outcome and the summary', async () => {
    const { code, stdout } = await call('status', 'counter-aaaaa');
    assert.equal(code, 0);
    assert.match(stdout, /^Migration: +default\/counter-aaaaa\nPhase: +Succeeded\n/);
    assert.match(stdout, /\nTarget: +counter-restored on k8s-master\n/);
    assert.match(stdout, /\nDowntime: +446 ms ± 2 ms\n/);
    assert.match(stdout, /\n {2}✔ Checkpoint +freeze 34 ms, dump 180 ms +\d\.\ds\n/);
  });

  test('a pod’s name finds its newest migration, also by the name under which it arrived', async () => {
    for (const args of [['counter'], ['pod/counter'], ['pod/counter-restored'], ['pmig/counter-aaaaa']]) {
      assert.match((await call('status', ...args)).stdout, /default\/counter-aaaaa\n/, args.join(' '));
    }
  });

  test('-w ends with the outcome as exit code', async () => {
    assert.equal((await call('status', 'counter-aaaaa', '-w')).code, 0);
    const failed = await call('status', 'bad', '-w');
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /Reason: CriuDumpFailed/);
    const late = await call('status', 'slow', '-w', '--timeout', '300ms');
    assert.equal(late.code, 124);
    assert.match(late.stderr, /is still Pending/);
  });

  test('describe tells the times of the phases, the parts of the downtime and the events', async () => {
    const migration = await world.client.podMigrations.get('counter-aaaaa', 'default');
    const { metadata } = migration;
    await world.client.events.create(
      {
        metadata: { name: 'counter-aaaaa.1', namespace: 'default' },
        involvedObject: {
          kind: 'PodMigration',
          namespace: 'default',
          name: metadata.name,
          uid: metadata.uid!,
        },
        type: 'Normal',
        reason: 'Succeeded',
        message: 'Pod counter moved (simulated).',
        lastTimestamp: new Date().toISOString().replace(/\.\d+/, ''),
      } as CoreEvent,
      'default',
    );
    const { code, stdout } = await call('describe', 'pod/counter');
    assert.equal(code, 0);
    assert.match(stdout, /^Migration: +default\/counter-aaaaa\n/);
    assert.match(stdout, /\nTimeline:\n {2}\S+ +Pending +\d+ ms\n/);
    assert.match(stdout, /\n {2}\S+ +Succeeded\n/);
    assert.match(stdout, /\nDowntime by step:\n {2}Freeze +34 ms +8% +█+▌?\n {2}Dump +180 ms +40% +█+▌?\n/);
    assert.match(stdout, /\nEvents:\n {2}\d+s ago +event +.*Pod counter moved \(simulated\)\./);
  });

  test('an unknown name is answered with near ones', async () => {
    const { code, stderr } = await call('status', 'conuter');
    assert.equal(code, 1);
    assert.match(stderr, /There is no migration "conuter" in namespace "default".*\nDid you mean "counter"/);
  });

  test('list is a table as kubectl’s', async () => {
    const { stdout } = await call('list');
    const lines = stdout.trimEnd().split('\n');
    assert.match(lines[0] ?? '', /^NAME +POD +FROM +TO +PHASE +DOWNTIME +AGE$/);
    assert.equal(lines.length, 4);
    assert.match(stdout, /\nbad-bbbbb +bad +k8s-worker +k8s-master +Failed +<none> +\d+s\n/);
    assert.match(stdout, /\ncounter-aaaaa +counter +k8s-worker +k8s-master +Succeeded +446ms +\d+s\n/);
  });

  test('list -A shows all namespaces, and an empty one says so', async () => {
    const all = await call('list', '-A', '-o', 'wide');
    assert.match(all.stdout, /^NAMESPACE +NAME +POD .* RESTORED +MOVED +AGE\n/);
    assert.match(all.stdout, /\nshop +web-ddddd +web /);
    const none = await call('list', '-n', 'kube-system');
    assert.deepEqual(none, { code: 0, stdout: '', stderr: 'No resources found in kube-system namespace.\n' });
  });

  test('list -o json is a List, -o name one name a line', async () => {
    const json = JSON.parse((await call('list', '-o', 'json')).stdout) as {
      kind: string;
      items: PodMigration[];
    };
    assert.equal(json.kind, 'List');
    assert.deepEqual(json.items.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort(), [
      'PodMigration bad-bbbbb',
      'PodMigration counter-aaaaa',
      'PodMigration slow-ccccc',
    ]);
    const names = (await call('list', '-o', 'name')).stdout.trimEnd().split('\n');
    assert.ok(names.includes('podmigration.lpm.my.domain/bad-bbbbb'));
  });

  test('delete takes away what is over, by name and all at once, and nothing if a name is wrong', async () => {
    const names = async () =>
      (await world.client.podMigrations.list({ namespace: 'default' })).items.map(
        ({ metadata }) => metadata.name,
      );
    for (const name of ['old-1', 'old-2', 'old-3']) {
      await create(name, 'counter');
      await world.client.podMigrations.patchStatus(name, 'default', { phase: 'Succeeded' });
    }
    const wrong = await call('delete', 'old-1', 'odl-2');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /There is no migration "odl-2".*\nDid you mean "old-2"/);
    assert.ok((await names()).includes('old-1'));
    const one = await call('delete', 'old-1');
    assert.equal(one.stdout, 'podmigration.lpm.my.domain "old-1" deleted\n');
    assert.ok(!(await names()).includes('old-1'));
    const all = await call('delete', '--finished');
    assert.equal(all.code, 0);
    assert.match(all.stdout, /"old-2" deleted\n/);
    // Those that go on stay.
    assert.deepEqual(await names(), ['slow-ccccc']);
  });
});
