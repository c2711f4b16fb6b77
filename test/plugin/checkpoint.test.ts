import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ContainerCheckpoint, PodMigration } from '../../common/api/schema.js';
import { simulateCheckpoints } from './checkpoints.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';
import { addNode, addPod, simulateController, startWorld, type World } from './world.js';

describe('kubectl checkpoint', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let world: World;
  const stops: (() => void)[] = [];
  before(async () => {
    plugins = await buildPlugins();
    world = await startWorld();
    await addNode(world.client, 'k8s-master');
    await addPod(world.client, 'counter');
    await addPod(world.client, 'local');
    stops.push(simulateCheckpoints(world.client));
  });
  after(async () => {
    for (const stop of stops) stop();
    await plugins.remove();
    await world.close();
  });
  const call = (...args: string[]) =>
    kubectl(['checkpoint', ...args], { links: plugins.links, kubeconfig: world.kubeconfig });

  test('follows a checkpoint to its end and tells where the artifacts lie', async () => {
    const { code, stdout, stderr } = await call('pod', 'counter', '--name', 'before-upgrade');
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      'Checkpointed pod default/counter as before-upgrade, 1.2 MiB. The pod runs on after a pause of 312 ms.',
      'Content: podcheckpointcontent/pcpc-before-upgrade',
      'CONTAINER   SIZE      ARTIFACT',
      'app         1.2 MiB   /mnt/checkpoints/u-app-20261123160000.tar (shared)',
    ]);
    assert.match(stderr, /^podcheckpoint\.lpm\.my\.domain\/before-upgrade created\n/);
    assert.match(stderr, /Z dumping memory 585.9 of 1171.9 KiB\n|Z dumping memory 0.6 of 1.1 MiB\n/);
    assert.match(stderr, /Z Succeeded/);
  });

  test('each way of naming the pod makes a checkpoint', async () => {
    for (const args of [['pod/counter'], ['counter'], ['po', 'counter']]) {
      const { code, stdout } = await call(...args, '--no-wait');
      assert.equal(code, 0);
      assert.match(stdout, /^podcheckpoint\.lpm\.my\.domain\/counter-[a-z0-9]{5} created\n$/);
    }
  });

  test('every wish is in the spec', async () => {
    const flags =
      '--name wishes --via kubelet --ttl 24h --retain --compress zstd --encrypt --timeout 90s --no-wait';
    const { code, stderr } = await call('counter', ...flags.split(' '));
    assert.equal(code, 0, stderr);
    const { spec } = await world.client.podCheckpoints.get('wishes', 'default');
    assert.deepEqual(spec, {
      podName: 'counter',
      via: 'Kubelet',
      ttlSecondsAfterFinished: 86_400,
      deletionPolicy: 'Retain',
      compression: 'Zstd',
      encrypt: true,
      timeoutSeconds: 90,
    });
  });

  test('-c saves one container, and knows the names of those that there are', async () => {
    const { code, stdout, stderr } = await call('counter', '-c', 'app', '--name', 'only-app');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Checkpointed container app of pod default\/counter as only-app, 1\.2 MiB\./);
    assert.match(stdout, /\nContent: containercheckpointcontent\/ccpc-only-app\n/);
    const made: ContainerCheckpoint = await world.client.containerCheckpoints.get('only-app', 'default');
    assert.equal(made.spec.containerName, 'app');
    assert.match((await call('counter', '-c', 'ap')).stderr, /has no container "ap"\.\nDid you mean "app"\?/);
    assert.match((await call('counter', '-c', 'x')).stderr, /has no container "x"\.\nIts containers: app\n/);
  });

  test('that the archive lies on its node only is a warning', async () => {
    const { code, stdout, stderr } = await call('local');
    assert.equal(code, 0);
    assert.match(
      stderr,
      /\nwarning: The archive lies on its node only: \/mnt\/checkpoints is no mount point\.\n/,
    );
    assert.match(stdout, /\.tar \(on node k8s-worker only\)/);
  });

  test('an unknown pod and a taken name are refused', async () => {
    assert.match((await call('pod', 'conuter')).stderr, /Did you mean "counter"\?/);
    await call('counter', '--name', 'twice', '--no-wait');
    const again = await call('counter', '--name', 'twice');
    assert.equal(again.code, 1);
    assert.match(again.stderr, /There is a checkpoint "twice" in namespace "default" already\./);
  });

  test('--dry-run creates nothing', async () => {
    for (const how of ['client', 'server']) {
      const { code, stdout } = await call('counter', '--name', 'never', `--dry-run=${how}`, '-o', 'json');
      assert.equal(code, 0);
      assert.equal((JSON.parse(stdout) as { spec: { podName: string } }).spec.podName, 'counter');
    }
    const { stdout } = await call('counter', '--name', 'never', '--dry-run=client');
    assert.equal(stdout, 'podcheckpoint.lpm.my.domain/never created (dry run)\n');
    assert.equal(await world.client.podCheckpoints.find('never', 'default'), undefined);
  });

  test('list shows of what, how large and where, NAME first and AGE last', async () => {
    const { stdout } = await call('list');
    assert.match(stdout, /^NAME +POD +CONTAINERS +NODE +SIZE +PHASE +VIA +WHERE +AGE\n/);
    assert.match(
      stdout,
      /\nbefore-upgrade +counter +app +k8s-worker +1\.2 MiB +Succeeded +Agent +repository +\d+s\n/,
    );
    assert.match(stdout, /\nonly-app +counter +app +k8s-worker +1\.2 MiB +Succeeded +Agent +repository/);
    assert.match(
      stdout,
      /\nlocal-\w{5} +local +app +k8s-worker +1\.2 MiB +Succeeded +Agent +node k8s-worker/,
    );
    const wide = await call('list', '-A', '-o', 'wide');
    assert.match(wide.stdout, /^NAMESPACE +NAME .* +FROZEN +POLICY +REASON +CONTENT +AGE\n/);
    const names = await call('list', '-o', 'name');
    assert.match(names.stdout, /^containercheckpoint\.lpm\.my\.domain\/only-app$/m);
  });

  test('describe tells all that is known, and what an archive says cannot draw on the terminal', async () => {
    const { code, stdout, stderr } = await call('describe', 'before-upgrade');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Name: +before-upgrade\n/);
    assert.match(stdout, /\nFrozen: +for 312 ms\n/);
    assert.match(stdout, /\nKept: +the archive goes when this is deleted\n/);
    assert.match(stdout, /\n {2}SHA-256: +a{64}\n/);
    const tree = /\n {2}Processes \(4\):\n((?: {4}.*\n)+)/.exec(stdout)?.[1];
    assert.deepEqual(tree?.trimEnd().split('\n'), [
      '    PID   MEMORY     THREADS   COMMAND',
      '    1     128 KiB    1         sh',
      '    9     195 MiB    4         ├─ redis',
      '    7     64.0 KiB   1         └─ tee',
      '    12    4.0 KiB    1            └─ sleep',
    ]);
    assert.match(stdout, /\n {4}7 +3 +regular +\/data\/\ufffd\[2Jcounter\.log\n/);
    assert.ok(!stdout.includes('\u001b'));
    assert.match(stdout, /\n {4}\/data +ext4 +\/dev\/vda1\n/);
    assert.match(stdout, /\n {2}RepositoryAvailable +True +Shared /);
    assert.match((await call('describe', 'before-upgrad')).stderr, /Did you mean "before-upgrade"\?/);
    assert.match(
      (await call('describe', 'counter')).stderr,
      /The checkpoints of pod counter: .*before-upgrade/,
    );
  });

  test('delete says what becomes of the archive, and waits until it is gone', async () => {
    await call('counter', '--name', 'kept', '--retain');
    const { code, stdout, stderr } = await call('delete', 'before-upgrade', 'kept');
    assert.equal(code, 0, stderr);
    assert.equal(
      stdout,
      'podcheckpoint.lpm.my.domain "before-upgrade" deleted\npodcheckpoint.lpm.my.domain "kept" deleted\n',
    );
    assert.match(stderr, /^before-upgrade: its archive is removed with it/);
    assert.match(
      stderr,
      /\nkept: its archive is kept \(deletion policy Retain\): \/mnt\/checkpoints\/u-app-/,
    );
    assert.equal(await world.client.podCheckpoints.find('before-upgrade', 'default'), undefined);
    assert.equal(await world.client.podCheckpointContents.find('pcpc-before-upgrade'), undefined);
    assert.ok(await world.client.podCheckpointContents.find('pcpc-kept'));
    const some = await call('delete', 'before-upgrade', 'wishes');
    assert.equal(some.code, 1, 'one of the names is not there');
    assert.match(some.stdout, /"wishes" deleted/);
  });

  test('restore asks for a new pod, warns of twins, and follows it to its end', async (t) => {
    const asked: PodMigration[] = [];
    const stop = simulateController(world.client, (migration) => {
      asked.push(migration);
      return [
        { status: { phase: 'Pending', message: 'Preparing (simulated).' }, thenMs: 50 },
        { status: { phase: 'MigrationInProgress', targetNode: 'k8s-master' }, thenMs: 50 },
        { status: { phase: 'RestoreInProgress' }, thenMs: 50 },
        {
          status: {
            phase: 'Succeeded',
            message: 'Restored (simulated).',
            restoredPodName: 'again',
            totalMilliseconds: 900,
            bytesTransferred: 1_258_291,
          },
        },
      ];
    });
    t.after(stop);
    await call('counter', '--name', 'point');
    const { uid = '' } = (await world.client.pods.get('counter', 'default')).metadata;
    await world.client.podCheckpoints.patchStatus('point', 'default', { podUID: uid });
    const { code, stdout, stderr } = await call('restore', 'point', '--to', 'k8s-master', '--as', 'again');
    assert.equal(code, 0, stderr);
    assert.deepEqual(asked[0]?.spec, {
      podName: 'counter',
      fromCheckpoint: { kind: 'PodCheckpoint', name: 'point' },
      targetNode: 'k8s-master',
      restoredPodName: 'again',
      tcp: 'Close',
      timeoutSeconds: 600,
    });
    assert.match(
      stderr,
      /^warning: the pod counter still runs on k8s-worker: it and the new pod will be twins/,
    );
    assert.equal(
      stdout,
      [
        'Restored pod default/again.',
        '  From:    checkpoint point of counter',
        '  To:      again on k8s-master',
        '  Total:   900 ms',
        '  Moved:   1.2 MiB',
        '',
      ].join('\n'),
    );
    assert.match(
      (await call('restore', 'point', '--to', 'k8s-mastre')).stderr,
      /Did you mean "k8s-master"\?/,
    );
    assert.match(
      (await call('restore', 'pont')).stderr,
      /There is no checkpoint "pont".*\nDid you mean "point"\?/,
    );
  });

  test('what failed cannot be restored, with the reason', async () => {
    await addPod(world.client, 'broken');
    const failed = await call('broken', '--name', 'bad');
    assert.equal(failed.code, 1);
    assert.match(
      failed.stderr,
      /\nerror: The checkpoint bad of pod default\/broken failed: CRIU could not dump process 17 \(simulated\)\.\nReason: CriuDumpFailed\nMore with: kubectl checkpoint describe bad\n$/,
    );
    const { code, stderr } = await call('restore', 'bad');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: The checkpoint bad failed, so there is nothing to restore: CRIU could not dump/,
    );
  });

  test('every running pod of a selector or a workload is saved, and one that fails ends none of the others', async () => {
    for (const [name, phase] of [
      ['web-1', 'Running'],
      ['web-2', 'Running'],
      ['broken-web', 'Running'],
      ['web-over', 'Succeeded'],
    ] as const) {
      await addPod(world.client, name, { phase });
      await world.client.pods.patch(name, 'default', { metadata: { labels: { app: 'web' } } });
    }
    const template = {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'app', image: 'busybox:1.35' }] },
    };
    await world.client.json('POST', '/apis/apps/v1/namespaces/default/deployments', {
      body: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web' },
        spec: { replicas: 0, selector: { matchLabels: { app: 'web' } }, template },
      },
    });
    for (const args of [['deployment/web'], ['deploy', 'web'], ['-l', 'app=web']]) {
      const { code, stdout, stderr } = await call(...args);
      assert.equal(code, 1, args.join(' '));
      assert.match(stdout, /^NAME +POD +NODE +SIZE +FROZEN +RESULT\n/);
      for (const pod of ['web-1', 'web-2']) {
        assert.match(
          stdout,
          new RegExp(`^${pod}-\\w{5} +${pod} +k8s-worker +1\\.2 MiB +312 ms +Succeeded$`, 'm'),
        );
      }
      assert.match(stdout, /^broken-web-\w{5} +broken-web .* Failed$/m);
      assert.doesNotMatch(stdout, /web-over/);
      assert.match(stderr, /note: the pod web-over is Succeeded and is left out\n/);
      assert.match(stderr, /error: pod broken-web: CRIU could not dump process 17 \(simulated\)\.\n/);
      assert.match(stderr, /2 of 3 pods were checkpointed\.\n$/);
    }
    const unknown = await call('deployment/wbe');
    assert.equal(unknown.code, 1);
    assert.match(
      unknown.stderr,
      /There is no deployment "wbe" in namespace "default"\.\nDid you mean "web"\?/,
    );
    assert.match((await call('-l', 'app=none')).stderr, /No pod in namespace "default" matches "app=none"\./);
  });
});
