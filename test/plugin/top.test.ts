/** `kubectl migrate top` as it is watched: in real terminals of several sizes, in logs, and while the API server is away. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { PodMigration } from '../../common/api/schema.js';
import { readable, settled } from '../e2e/screens/normalize.js';
import { openTerminal } from '../support/terminal.js';
import { buildPlugins, kubectl, missing, start, until, type Plugins } from './programs.js';
import { addNamespace, startWorld, type World } from './world.js';

const SCREENS = fileURLToPath(new URL('screens/', import.meta.url));
const noTerminal = (await missing('tmux')) || (await missing('kubectl'));

type Status = NonNullable<PodMigration['status']>;
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();

/** One in each phase in which something is to be seen. None of them moves on. Made in this order, which is that of their names. */
const STATES: Record<string, () => Partial<Status>> = {
  'counter-migration-test': () => ({
    phase: 'CheckpointInProgress',
    sourceNode: 'k8s-worker',
    targetNode: 'k8s-master',
    startTime: ago(3),
    frozenAt: ago(1),
    phaseTransitions: [{ phase: 'CheckpointInProgress', transitionTime: ago(1) }],
    progress: { step: 'Dump', bytesDone: 40e6, bytesTotal: 90e6, since: ago(1) },
  }),
  redis: () => ({
    phase: 'MigrationInProgress',
    sourceNode: 'k8s-worker',
    targetNode: 'k8s-master',
    startTime: ago(20),
    frozenAt: ago(12),
    phaseTransitions: [{ phase: 'MigrationInProgress', transitionTime: ago(11) }],
    progress: { step: 'Transfer', bytesDone: 45e6, bytesTotal: 90e6, since: ago(11) },
  }),
  stuck: () => ({
    phase: 'RestoreInProgress',
    message: 'Revoking does not succeed.',
    sourceNode: 'k8s-worker',
    targetNode: 'k8s-master',
    startTime: ago(70),
    frozenAt: ago(65),
    phaseTransitions: [{ phase: 'RestoreInProgress', transitionTime: ago(60) }],
    conditions: [
      {
        type: 'Stuck',
        status: 'True',
        reason: 'AgentNotReachable',
        message: 'Revoking does not succeed. Is the node up?',
        lastTransitionTime: ago(50),
      },
    ],
  }),
  waits: () => ({}),
};

describe('kubectl migrate top', { skip: noTerminal }, () => {
  let plugins: Plugins;
  let world: World;
  before(async () => {
    [plugins, world] = await Promise.all([buildPlugins(), startWorld()]);
    await addNamespace(world.client, 'shop');
    for (const [pod, status] of Object.entries(STATES)) {
      const metadata = { name: `${pod}-b4c5d`, namespace: 'shop' };
      await world.client.podMigrations.create(
        { metadata, spec: { podName: pod, targetNode: 'k8s-master' } },
        'shop',
      );
      await world.client.podMigrations.patchStatus(metadata.name, 'shop', status());
    }
  });
  after(async () => {
    await plugins.remove();
    await world.close();
  });

  const open = (args: string, { columns = 80, rows = 24, env = 'A=1', kubeconfig = world.kubeconfig } = {}) =>
    openTerminal(
      [
        'trap : INT',
        `export LANG=C.UTF-8 HOME=/nonexistent KUBECONFIG=${kubeconfig}`,
        `export PATH='${plugins.links}${delimiter}${process.env.PATH ?? ''}' ${env}`,
        `echo before; kubectl migrate top ${args}; echo "exit code $?"; sleep 60`,
      ].join('; '),
      { columns, rows },
    );
  for (const columns of [80, 200]) {
    for (const [name, env] of [
      ['-color', 'A=1'],
      ['', 'NO_COLOR=1'],
    ] as const) {
      test(`at ${columns} columns with ${env} it is as in screens/top-${columns}${name}.txt`, async (t) => {
        const terminal = await open('-n shop', { columns, env });
        t.after(() => terminal.close());
        await until(async () => /stuck-b4c5d/.test(await terminal.screen('-e')), terminal.last);
        const screen = `${settled(readable(terminal.last()))}\n`;
        const file = join(SCREENS, `top-${columns}${name}.txt`);
        if (process.env.UPDATE_SCREENS) {
          await mkdir(SCREENS, { recursive: true });
          await writeFile(file, screen);
        }
        assert.equal(screen, await readFile(file, 'utf8'), `${file} (UPDATE_SCREENS=1 writes it anew)`);
      });
    }
  }

  test('it has the terminal while it is watched, counts up in it, and follows its size', async (t) => {
    const terminal = await open('-A', { columns: 200 });
    t.after(() => terminal.close());
    await until(async () => /MigrationInProgress/.test(await terminal.screen()), terminal.last);
    assert.equal(await terminal.ask('#{alternate_on} #{cursor_flag}'), '1 0');
    assert.match(terminal.last(), /^4 migrations are going on\.\n\nNAMESPACE +NAME +POD +FROM +TO +PHASE /);
    const frozen = () => /redis-b4c5d .* (\d+\.\d)s$/m.exec(terminal.last())?.[1];
    const first = frozen();
    await until(async () => (await terminal.screen()) !== '' && frozen() !== first, terminal.last);

    for (const [columns, rows] of [
      [100, 20],
      [50, 20],
      [80, 6],
      [200, 30],
    ] as const) {
      await terminal.resize(columns, rows);
      const settledTo = async () => {
        const lines = (await terminal.screen()).split('\n');
        const wide = columns === 200;
        return (
          lines[0] === '4 migrations are going on.' &&
          lines.length <= rows &&
          lines.every((line) => line.length < columns) &&
          /MigrationInProgress/.test(terminal.last()) === wide &&
          lines.filter((line) => line.includes('going on')).length === 1
        );
      };
      await until(settledTo, () => `${columns}x${rows}:\n${terminal.last()}`);
    }
  });

  test('Ctrl-C gives the terminal back, with what was seen last, and is a good end', async (t) => {
    const terminal = await open('-n shop');
    t.after(() => terminal.close());
    await until(async () => /stuck-b4c5d/.test(await terminal.screen()), terminal.last);
    await terminal.press('C-c');
    await until(async () => (await terminal.screen()).includes('exit code'), terminal.last);
    const lines = terminal.last().split('\n');
    assert.deepEqual(
      [lines[0], lines[1]?.replace('^C', ''), lines[2]],
      ['before', '4 migrations are going on.', ''],
    );
    assert.equal(lines.length, 9);
    assert.equal(lines.at(-1), 'exit code 0');
    assert.equal(await terminal.ask('#{alternate_on} #{cursor_flag}'), '0 1');
  });

  test('ended from outside, it leaves no terminal in disorder', async (t) => {
    const terminal = await open('-n shop');
    t.after(() => terminal.close());
    await until(async () => /stuck-b4c5d/.test(await terminal.screen()), terminal.last);
    const shell = Number(await terminal.ask('#{pane_pid}'));
    const children = (await readFile(`/proc/${shell}/task/${shell}/children`, 'utf8')).trim().split(' ');
    process.kill(Number(children.at(-1)), 'SIGTERM');
    await until(async () => (await terminal.screen()).includes('exit code 143'), terminal.last);
    assert.equal(await terminal.ask('#{alternate_on} #{cursor_flag}'), '0 1');
  });

  test('where nothing is going on it says so, and waits for what comes', async (t) => {
    const terminal = await open('', { columns: 100 });
    t.after(() => terminal.close());
    await until(async () => (await terminal.screen()) === 'No migration is going on.', terminal.last);
    const spec = { podName: 'late' };
    await world.client.podMigrations.create(
      { metadata: { name: 'late-b4c5d', namespace: 'default' }, spec },
      'default',
    );
    await until(
      async () => /^One migration .*\n\nNAME .*\nlate-b4c5d /.test(await terminal.screen()),
      terminal.last,
    );
    await world.client.podMigrations.delete('late-b4c5d', 'default');
    await until(async () => (await terminal.screen()) === 'No migration is going on.', terminal.last);

    const once = await kubectl(['migrate', 'top', '--once'], {
      links: plugins.links,
      kubeconfig: world.kubeconfig,
    });
    assert.deepEqual(once, { code: 0, stdout: '', stderr: 'No migration is going on.\n' });
  });

  test('where no terminal can draw, each change is a line with the time: TERM=dumb, --plain, a pipe', async (t) => {
    const line = /^\d{4}-\d\d-\d\dT[\d:.]+Z /;
    for (const [args, env] of [
      ['-n shop', 'TERM=dumb'],
      ['-n shop --plain', 'A=1'],
    ] as const) {
      const terminal = await open(args, { columns: 200, env });
      t.after(() => terminal.close());
      await until(
        async () => /shop\/stuck-b4c5d: stuck since/.test(await terminal.screen('-e')),
        terminal.last,
      );
      const lines = terminal.last().split('\n').slice(1);
      assert.match(lines[0] ?? '', /Z 4 migrations are going on\.$/);
      assert.ok(
        lines.every((each) => line.test(each)),
        terminal.last(),
      );
      assert.equal(await terminal.ask('#{alternate_on}'), '0');
      await terminal.press('C-c');
      await until(async () => (await terminal.screen()).includes('exit code 0'), terminal.last);
    }
    const piped = start(['migrate', 'top', '-n', 'shop'], {
      links: plugins.links,
      kubeconfig: world.kubeconfig,
    });
    await until(() => piped.text().includes('shop/stuck-b4c5d: stuck since'), piped.text);
    process.kill(-piped.child.pid!, 'SIGINT');
    const { code, stdout, stderr } = await piped.result;
    assert.deepEqual([code, stdout], [0, '']);
    assert.ok(
      stderr
        .trim()
        .split('\n')
        .every((each) => line.test(each)),
      stderr,
    );
    assert.match(stderr, /Z shop\/redis-b4c5d: moving 42\.9 of 85\.8 MiB/);
  });

  test('an API server that goes away for a while is told, what was seen stays, and it goes on when it is back', async (t) => {
    const relay = new Relay(
      new URL(
        (JSON.parse(await readFile(world.kubeconfig, 'utf8')) as Kubeconfig).clusters[0]!.cluster.server,
      ),
    );
    await relay.open();
    t.after(() => relay.close());
    const text = await readFile(world.kubeconfig, 'utf8');
    const kubeconfig = join(plugins.links, 'relayed');
    await writeFile(kubeconfig, text.replace(/https:\/\/127\.0\.0\.1:\d+/, relay.url), { mode: 0o600 });

    const terminal = await open('-n shop', { columns: 120, kubeconfig });
    t.after(() => terminal.close());
    const plain = start(['migrate', 'top', '-n', 'shop'], { links: plugins.links, kubeconfig });
    t.after(() => void plain.child.kill());
    await until(async () => /stuck-b4c5d/.test(await terminal.screen()), terminal.last);
    await until(() => plain.text().includes('stuck since'), plain.text);

    await relay.close();
    await until(async () => /Cannot reach the cluster/.test(await terminal.screen()), terminal.last);
    assert.match(
      terminal.last(),
      /^4 migrations.*redis-b4c5d .*\nCannot reach the cluster at \S+: .* Trying again; the/s,
    );
    await until(() => plain.text().includes('Cannot reach'), plain.text);
    await world.client.podMigrations.patchStatus('waits-b4c5d', 'shop', { phase: 'Pending' });
    await world.client.podMigrations.create(
      {
        metadata: { name: 'meanwhile-b4c5d', namespace: 'shop' },
        spec: { podName: 'meanwhile' },
      },
      'shop',
    );

    await relay.open();
    await until(async () => /^5 migrations/.test(await terminal.screen()), terminal.last);
    assert.match(terminal.last(), /\nmeanwhile-b4c5d /);
    assert.doesNotMatch(terminal.last(), /Cannot reach/);
    await until(() => /Z The API server answers again\.\n/.test(plain.text()), plain.text);
    assert.equal(plain.text().match(/Cannot reach/g)?.length, 1, 'it is said once');
    assert.match(plain.text(), /Z Cannot reach the cluster at \S+: .*\. Trying again\.\n/);
    await world.client.podMigrations.delete('meanwhile-b4c5d', 'shop');
  });
});

interface Kubeconfig {
  clusters: { cluster: { server: string } }[];
}

/** Stands between a program and the API server, and can be taken away. */
class Relay {
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor(private readonly to: URL) {}

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  async open(): Promise<void> {
    const server = createServer((socket) => {
      const onward = connect(Number(this.to.port), this.to.hostname);
      for (const one of [socket, onward]) {
        this.#sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => this.#sockets.delete(one));
      }
      socket.pipe(onward).pipe(socket);
    });
    // The same port again, when it comes back.
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}
