import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { delimiter } from 'node:path';
import { targetSilent } from '../../plugin/stuck.testing.js';
import { openTerminal } from '../support/terminal.js';
import { buildPlugins, missing, until, type Plugins } from './programs.js';
import {
  addNamespace,
  addNode,
  addPod,
  goodPlay,
  simulateController,
  startWorld,
  type World,
} from './world.js';

const skip = (await missing('tmux')) || (await missing('kubectl'));

describe('in a real terminal', { skip }, () => {
  let plugins: Plugins;
  let world: World;
  let stop: () => void = () => {};
  before(async () => {
    plugins = await buildPlugins();
    world = await startWorld();
    await addNode(world.client, 'k8s-master');
    await addNode(world.client, 'k8s-worker');
    stop = simulateController(world.client, ({ metadata, spec }) =>
      metadata.namespace === 'silent'
        ? [{ status: targetSilent }]
        : metadata.namespace === 'stuck'
          ? [{ status: { phase: 'Pending', message: 'Waiting for an image (simulated).' } }]
          : goodPlay(spec.podName === 'color' ? 300 : 3000),
    );
  });
  after(async () => {
    stop();
    await plugins.remove();
    await world.close();
  });

  /** A terminal of its own that runs one command line and shows its exit code at the end. */
  const open = (command: string, { columns = 80, env = '' } = {}) =>
    openTerminal(
      [
        // Ctrl-C is for the program, the shell has its exit code to show.
        'trap : INT',
        `export LANG=C.UTF-8 HOME=/nonexistent KUBECONFIG=${world.kubeconfig}`,
        `export PATH='${plugins.links}${delimiter}${process.env.PATH ?? ''}' ${env}`,
        `${command}; echo "exit code $?"; sleep 60`,
      ].join('; '),
      { columns },
    );

  test('a migration is drawn again and again at 80 columns, and its last picture stays', async (t) => {
    await addPod(world.client, 'counter');
    const terminal = await open('kubectl migrate counter --to k8s-master');
    t.after(() => terminal.close());
    await until(async () => /pod is frozen for 0\.\d.*\n/.test(await terminal.screen()), terminal.last);
    const middle = terminal.last().split('\n');
    t.diagnostic(`\n${terminal.last()}`);
    assert.match(middle[0] ?? '', /^podmigration\.lpm\.my\.domain\/counter-[a-z0-9]{5} created$/);
    assert.match(middle[1] ?? '', /^✔ Prepare +counter-restored prepared on k8s-master +0\.\ds$/);
    assert.match(middle[2] ?? '', /^\S Checkpoint +\S.* \d+\.\ds$/);
    assert.match(middle[3] ?? '', /^ +the pod is frozen for 0\.\ds$/);
    assert.match(middle[4] ?? '', /^ +warning: 2 TCP connections will be closed \(simulated\)\.$/);
    assert.deepEqual(middle.slice(5), ['· Transfer', '· Restore']);

    await until(async () => (await terminal.screen()).includes('exit code'), terminal.last);
    t.diagnostic(`\n${terminal.last()}`);
    const end = terminal.last().split('\n');
    assert.deepEqual(
      end.slice(1, 5).map((line) => line.slice(0, 12).trim()),
      ['✔ Prepare', '✔ Checkpoint', '✔ Transfer', '✔ Restore'],
    );
    assert.deepEqual(end.slice(5), [
      'warning: 2 TCP connections will be closed (simulated).',
      'Migrated pod default/counter.',
      '  From:       counter on k8s-worker',
      '  To:         counter-restored on k8s-master',
      '  Downtime:   446 ms ± 2 ms',
      '              freeze 34 ms, dump 180 ms, transfer 2 ms, restore 230 ms',
      '  Total:      3.00 s',
      '  Moved:      85.8 MiB',
      'exit code 0',
    ]);
  });

  test('colours are there at 200 columns and go with NO_COLOR; TERM=dumb gets plain lines', async (t) => {
    await addPod(world.client, 'color');
    const seen: string[] = [];
    for (const env of ['A=1', 'NO_COLOR=1', 'TERM=dumb']) {
      const terminal = await open('kubectl migrate color --to k8s-master', { columns: 200, env });
      t.after(() => terminal.close());
      await until(async () => (await terminal.screen('-e')).includes('exit code 0'), terminal.last);
      seen.push(terminal.last());
    }
    const [colored = '', bare = '', dumb = ''] = seen;
    assert.match(colored, /\u001b\[32m✔/);
    assert.doesNotMatch(bare, /\u001b\[\d/);
    assert.match(bare, /✔ Restore/);
    assert.doesNotMatch(dumb, /\u001b|✔/);
    assert.match(dumb, /Z CheckpointInProgress: Dumping \(simulated\)\./);
  });

  test('Ctrl-C leaves a clean terminal and says how to look again', async (t) => {
    await addNamespace(world.client, 'stuck');
    await addPod(world.client, 'counter', { namespace: 'stuck' });
    const terminal = await open('kubectl migrate counter --to k8s-master -n stuck');
    t.after(() => terminal.close());
    await until(async () => (await terminal.screen()).includes('Waiting for an image'), terminal.last);
    await terminal.press('C-c');
    await until(async () => (await terminal.screen()).includes('exit code'), terminal.last);
    t.diagnostic(`\n${terminal.last()}`);
    assert.match(
      terminal.last(),
      /\nDetached; the migration counter-\w{5} goes on in the cluster\.\nLook again with: kubectl migrate status counter-\w{5} -w -n stuck\nCancel it with: kubectl migrate cancel counter-\w{5} -n stuck\nexit code 130$/,
    );
  });

  test('a stuck migration says so in 80 columns, and is decided by typing its name', async (t) => {
    const { podMigrations } = world.client;
    await addNamespace(world.client, 'silent');
    await addPod(world.client, 'counter', { namespace: 'silent' });
    const following = await open('kubectl migrate counter --to k8s-master -n silent');
    t.after(() => following.close());
    await until(async () => (await following.screen()).includes('runs there'), following.last);
    t.diagnostic(`\n${following.last()}`);
    const rows = following.last().split('\n');
    assert.match(following.last(), /\n\S Restore +stuck: Revoking the restore on node k8s.*…/);
    assert.match(
      following.last(),
      /\n +stuck for .*: Revoking the restore on node k8s-master does not\n +succeed/,
    );
    assert.match(following.last(), /\n +check: Is the node up\? kubectl get node k8s-master\.\n/);
    assert.match(
      following.last(),
      /\n +decide: kubectl migrate resolve counter-\w{5} -n silent --keep source/,
    );
    assert.ok(
      rows.slice(5).every((row) => !row.includes('…')),
      'nothing of what helps is cut',
    );

    const [{ metadata } = assert.fail('no migration')] = (await podMigrations.list({ namespace: 'silent' }))
      .items;
    const { name } = metadata;
    const resolution = async () => (await podMigrations.get(name, 'silent')).spec.resolution;
    const decide = `kubectl migrate resolve ${name} -n silent --keep source --no-wait`;
    const said = [];
    for (const keys of [['counter', 'Enter'], ['C-c'], ['C-d'], [name, 'Enter']]) {
      assert.equal(await resolution(), undefined);
      const terminal = await open(decide);
      t.after(() => terminal.close());
      await until(async () => /to keep the source:$/.test(await terminal.screen()), terminal.last);
      for (const key of keys) await terminal.press(key);
      await until(async () => (await terminal.screen()).includes('exit code'), terminal.last);
      said.push(terminal.last().replace(/\s+/g, ' '));
      t.diagnostic(`\n${terminal.last()}`);
    }
    assert.match(said[0] ?? '', /"counter" is neither "[^"]+" nor "yes"; nothing was changed\. exit code 1$/);
    assert.match(said[1] ?? '', /Nothing was changed\. exit code 130$/);
    assert.match(said[2] ?? '', /Nothing was changed\. exit code 1$/);
    assert.match(said[3] ?? '', /WARNING: .* TWO copies run\. .* told to keep the source .* exit code 0$/);
    assert.equal(await resolution(), 'Source');
  });
});
