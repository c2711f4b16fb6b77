import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import { buildPlugins, kubectl, missing, start, until, type Plugins } from './programs.js';
import {
  addNamespace,
  addNode,
  addPod,
  failingPlay,
  goodPlay,
  simulateController,
  startWorld,
  type Play,
  type World,
} from './world.js';

describe('kubectl migrate', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let world: World;
  let stop: () => void = () => {};
  before(async () => {
    plugins = await buildPlugins();
  });
  after(() => plugins.remove());
  beforeEach(async () => {
    world = await startWorld();
    await addNode(world.client, 'k8s-master');
    await addNode(world.client, 'k8s-worker');
    await addPod(world.client, 'counter');
  });
  afterEach(async () => {
    stop();
    stop = () => {};
    await world.close();
  });
  const surroundings = () => ({ links: plugins.links, kubeconfig: world.kubeconfig });
  const call = (...args: string[]) => kubectl(['migrate', ...args], surroundings());
  const controller = (play: Play) => (stop = simulateController(world.client, () => play));
  const migrations = async () => (await world.client.podMigrations.list({ namespace: 'default' })).items;
  const onlyMigration = async (): Promise<PodMigration> => {
    const [first, ...more] = await migrations();
    assert.equal(more.length, 0);
    return first ?? assert.fail('no PodMigration was created');
  };

  test('follows a migration to its end: progress on stderr, the summary on stdout, exit code 0', async () => {
    controller(goodPlay());
    const { code, stdout, stderr } = await call('counter', '--to', 'k8s-master', '--timeout', '5m');
    assert.equal(code, 0, stderr);
    const { metadata, spec } = await onlyMigration();
    assert.match(metadata.name, /^counter-[a-z0-9]{5}$/);
    assert.deepEqual(spec, {
      podName: 'counter',
      targetNode: 'k8s-master',
      tcp: 'Close',
      timeoutSeconds: 300,
    });
    assert.equal(
      stdout,
      [
        'Migrated pod default/counter.',
        '  From:       counter on k8s-worker',
        '  To:         counter-restored on k8s-master',
        '  Downtime:   446 ms ± 2 ms',
        '              freeze 34 ms, dump 180 ms, transfer 2 ms, restore 230 ms',
        '  Total:      600 ms',
        '  Moved:      85.8 MiB',
        '',
      ].join('\n'),
    );
    const lines = stderr.trimEnd().split('\n');
    assert.equal(lines[0], `podmigration.lpm.my.domain/${metadata.name} created`);
    for (const line of lines.slice(1)) assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /);
    for (const phase of ['CheckpointInProgress', 'MigrationInProgress', 'RestoreInProgress', 'Succeeded']) {
      assert.match(stderr, new RegExp(`Z ${phase}`), 'each phase of the guide has a line');
    }
    assert.match(stderr, /warning: 2 TCP connections/);
    assert.doesNotMatch(stderr + stdout, /\u001b/, 'no colour into a pipe');
  });

  test('-o json, yaml and name print the object alone', async () => {
    controller(goodPlay(120));
    const json = await call('pod/counter', '--to=k8s-master', '-o', 'json');
    assert.equal((JSON.parse(json.stdout) as PodMigration).status?.phase, 'Succeeded');
    const yaml = await call('pod', 'counter', '--to=k8s-master', '-o', 'yaml');
    assert.equal(yaml.code, 0, yaml.stderr);
    assert.match(yaml.stdout, /^apiVersion: lpm\.my\.domain\/v1\nkind: PodMigration\n/);
    assert.doesNotMatch(yaml.stdout, /managedFields/);
    const name = await call('counter', '--to=k8s-master', '-o', 'name');
    assert.match(name.stdout, /^podmigration\.lpm\.my\.domain\/counter-[a-z0-9]{5}\n$/);
  });

  test('a failed migration: what, which object, why, what next, and that the pod runs on; exit code 1', async () => {
    controller(failingPlay());
    const { code, stdout, stderr } = await call('counter', '--to', 'k8s-master');
    const { metadata } = await onlyMigration();
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.deepEqual(stderr.trimEnd().split('\n').slice(-6), [
      `error: The migration ${metadata.name} of pod default/counter failed: CRIU could not dump process 17 of container app on k8s-worker (simulated).`,
      'Reason: CriuDumpFailed',
      'Next: Look at dump.log on k8s-worker.',
      'The pod default/counter runs on, on node k8s-worker, as before.',
      `More with: kubectl migrate status ${metadata.name}`,
      `CRIU's own log: kubectl migrate logs ${metadata.name}`,
    ]);
  });

  test('Ctrl-C detaches: exit code 130, the migration goes on, and it says how to look again', async () => {
    controller([{ status: { phase: 'Pending', message: 'Preparing (simulated).' } }]);
    const running = start(['migrate', 'counter', '--to', 'k8s-master'], surroundings());
    await until(() => running.text().includes('Preparing'), running.text);
    process.kill(-(running.child.pid ?? 0), 'SIGINT');
    const { code, stderr } = await running.result;
    assert.equal(code, 130);
    const { metadata } = await onlyMigration();
    assert.match(
      stderr,
      new RegExp(
        `Detached.*goes on.*\nLook again with: kubectl migrate status ${metadata.name} -w\nCancel it with: kubectl migrate cancel ${metadata.name}\n$`,
      ),
    );
    assert.equal(metadata.deletionTimestamp, undefined);
  });

  test('--no-wait creates it and leaves', async () => {
    const { code, stdout, stderr } = await call(
      'counter',
      '--to',
      'k8s-master',
      '--no-wait',
      '--name',
      'moved',
    );
    assert.equal(code, 0);
    const { metadata, spec } = await onlyMigration();
    assert.equal(stdout, `podmigration.lpm.my.domain/${metadata.name} created\n`);
    assert.match(stderr, /kubectl migrate status/);
    assert.equal(spec.restoredPodName, 'moved');
    const again = await call('counter', '--to', 'k8s-master', '--wait=false');
    assert.equal(again.code, 1, 'one migration of a pod at a time');
    assert.match(again.stderr, new RegExp(`is being migrated already, by ${metadata.name}\\.\n`));
  });

  test('a migration that is deleted meanwhile is told', async () => {
    controller([{ status: { phase: 'Pending', message: 'Preparing (simulated).' } }]);
    const running = start(['migrate', 'counter', '--to', 'k8s-master'], surroundings());
    await until(() => running.text().includes('Preparing'), running.text);
    const { metadata } = await onlyMigration();
    await world.client.podMigrations.delete(metadata.name, 'default');
    const { code, stderr } = await running.result;
    assert.equal(code, 1);
    assert.match(stderr, /was deleted before it had ended/);
  });

  test('when no controller takes it up it says what to check, and goes on waiting', async () => {
    const running = start(['migrate', 'counter', '--to', 'k8s-master', '--timeout', '10s'], surroundings());
    await until(() => running.text().includes('has not taken it up'), running.text, 25_000);
    assert.match(running.text(), /kubectl get pods -n live-pod-migration-controller-system/);
    const { code, stderr } = await running.result;
    assert.equal(code, 124);
    assert.match(stderr, /error: Waited long enough: .* not taken up by the controller\.\nLook again with/);
  });

  test('the node that the pod runs on is allowed, with a note', async () => {
    controller(goodPlay(120));
    const { code, stderr } = await call('counter', '--to', 'k8s-worker');
    assert.equal(code, 0);
    assert.match(stderr, /^note: the pod runs on k8s-worker already/);
  });

  describe('before it creates anything', () => {
    const refused = async (said: RegExp, ...args: string[]) => {
      const { code, stdout, stderr } = await call(...args);
      assert.match(stderr, said);
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.doesNotMatch(stderr, /\n\s+at /);
      assert.deepEqual(await migrations(), []);
    };

    test('an unknown pod is answered with near names', () =>
      refused(
        /^error: There is no pod "countr" in namespace "default"\.\nDid you mean "counter"\?\n$/,
        'countr',
        '--to',
        'k8s-master',
      ));

    test('a pod in another namespace is found', async () => {
      await addNamespace(world.client, 'shop');
      await addPod(world.client, 'web', { namespace: 'shop' });
      await refused(/There is no pod "web".*\nThere is one in namespace "shop"/, 'web', '--to', 'k8s-master');
    });

    test('an unknown node is answered with near names', () =>
      refused(
        /^error: There is no node "k8s-mastr" in this cluster\.\nDid you mean "k8s-master"\?\n$/,
        'counter',
        '--to',
        'k8s-mastr',
      ));

    test('a node that is not ready is refused', async () => {
      await addNode(world.client, 'k8s-broken', 'False');
      await refused(/The node k8s-broken is not ready \(KubeletNotReady\)/, 'counter', '--to', 'k8s-broken');
    });

    test('a pod that does not run is refused', async () => {
      await addPod(world.client, 'young', { phase: 'Pending' });
      await refused(/The pod default\/young is Pending, not Running/, 'young', '--to', 'k8s-master');
    });

    test('a name that is taken is refused', async () => {
      await addPod(world.client, 'web');
      await refused(/There is a pod named "web"/, 'counter', '--to', 'k8s-master', '--name', 'web');
    });

    test('a mistyped command is not only taken for a pod', () =>
      refused(/There is no pod "lst".*If you meant the command: list/s, 'lst'));
  });

  test('a cluster without our API says how to install it', async () => {
    const bare = await startWorld({ crds: false });
    try {
      await addPod(bare.client, 'counter');
      for (const args of [['counter', '--to', 'k8s-master'], ['status', 'counter'], ['list']]) {
        const { code, stderr } = await kubectl(['migrate', ...args], {
          links: plugins.links,
          kubeconfig: bare.kubeconfig,
        });
        assert.equal(code, 1);
        assert.match(stderr, /^error: Live pod migration is not installed in this cluster.*\nInstall it/);
      }
    } finally {
      await bare.close();
    }
  });
});
