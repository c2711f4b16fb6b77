/**
 * What a person sees, in real terminals of 80 and 200 columns, with colours and without, on a real cluster: each screen is a
 * text file in test/e2e/screens. `UPDATE_SCREENS=1 npm test -- e2e/screens` writes them anew; read the difference before it is
 * committed. Not part of a plain `npm test` (test/run.mjs).
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { repository } from '../cluster/paths.js';
import { missing } from '../plugin/programs.js';
import { openTerminal } from '../support/terminal.js';
import { until } from '../support/until.js';
import { readable, settled } from './screens/normalize.js';
import { given, skipped, startTestbed, type Testbed } from './testbed.js';

const FOLDER = join(repository, 'test/e2e/screens');

describe('screens', { skip: skipped || (await missing('tmux')) }, () => {
  let it: Testbed;
  before(async () => {
    it = await startTestbed();
    await it.startCounter('counter', it.source);
    await it.must('run', 'two', '--image=busybox:1.35', '--', 'sleep', '1000');
    await it.must('wait', '--for=condition=Ready', 'pod/two', '--timeout=60s');
  });
  after(() => it?.end());

  /** What is to be seen when the command has ended. */
  const seen = async (command: string, columns: number, color: string): Promise<string> => {
    const { KUBECONFIG = '', PATH = '' } = it.env;
    const terminal = await openTerminal(
      [
        `export LANG=C.UTF-8 KUBECONFIG='${KUBECONFIG}' PATH='${PATH}'`,
        `${command} --color=${color}; echo "exit code $?"; sleep 300`,
      ].join('; '),
      { columns, rows: 100 },
    );
    try {
      await until(`${command} ends`, async () => /exit code \d+$/.test(await terminal.screen('-e')), {
        timeoutMs: 120_000,
      });
      return readable(terminal.last());
    } finally {
      await terminal.close();
    }
  };

  const assertScreen = async (name: string, command: string, columns: number, color: string) => {
    const screen = settled(`$ ${command}\n${await seen(command, columns, color)}\n`);
    const file = join(FOLDER, `${name}-${columns}${color === 'always' ? '-color' : ''}.txt`);
    if (process.env.UPDATE_SCREENS) {
      await mkdir(FOLDER, { recursive: true });
      await writeFile(file, screen);
    }
    assert.equal(screen, await readFile(file, 'utf8'), `${file} (UPDATE_SCREENS=1 writes it anew)`);
  };

  const everyWay = async (name: string, command: () => string) => {
    for (const columns of [80, 200]) {
      for (const color of ['never', 'always']) await assertScreen(name, command(), columns, color);
    }
  };

  const otherNodes = given !== undefined && 'it names the local cluster’s container runtime and warnings';
  test('of a dry run', { skip: otherNodes }, () =>
    everyWay('dry-run', () => `kubectl migrate counter --to ${it.target} --dry-run`),
  );

  test('of a pod that is not there', () =>
    everyWay('unknown-pod', () => `kubectl migrate countr --to ${it.target}`));

  test('of a migration, there and back twice', async () => {
    const names = ['counter', 'counter-restored', 'counter-restored-2', 'counter-restored'];
    let round = 0;
    await everyWay('migrate', () => {
      const to = round % 2 === 0 ? it.target : it.source;
      return `kubectl migrate ${names[round++]} --to ${to}`;
    });
  });

  test('of the records of a migration', async () => {
    const first = await it.must(
      'get',
      'podmigrations',
      '-o',
      'jsonpath={.items[?(@.spec.podName=="counter")].metadata.name}',
    );
    for (const other of (
      await it.must('get', 'podmigrations', '-o', 'jsonpath={.items[*].metadata.name}')
    ).split(' ')) {
      if (other !== first) await it.must('delete', 'podmigration', other);
    }
    await everyWay('list', () => 'kubectl migrate list -o wide');
    await everyWay('status', () => `kubectl migrate status ${first}`);
    await everyWay('describe', () => `kubectl migrate describe ${first}`);
    await everyWay('top', () => 'kubectl migrate top --once');
  });

  test('of the help', () => everyWay('help', () => 'kubectl migrate --help'));
});
