import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PROGRAMS } from '../../plugin/programs.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';

describe('the command line', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  before(async () => {
    plugins = await buildPlugins();
  });
  after(() => plugins.remove());
  const call = (...args: string[]) => kubectl(args, { links: plugins.links });

  test('the program is less than 2 MB, and less than 60 KB of it is loaded for its help', async () => {
    const folder = join(plugins.links, 'built');
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    const sizes = await Promise.all(
      files
        .filter((file) => file.isFile())
        .map(async (file) => (await stat(join(file.parentPath, file.name))).size),
    );
    assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 2_000_000);
    // The pieces that the entry imports before it runs, and those that they import.
    const seen = new Set<string>();
    const load = async (file: string): Promise<number> => {
      if (seen.has(file)) return 0;
      seen.add(file);
      const text = await readFile(file, 'utf8');
      const imported = [...text.matchAll(/(?:from|import)"(\.[^"]+)"/g)].map(([, path]) =>
        join(file, '..', path!),
      );
      let size = text.length;
      for (const each of imported) size += await load(each);
      return size;
    };
    const size = await load(join(folder, 'kubectl-migrate.mjs'));
    assert.ok(seen.size > 1, 'the pieces are found');
    assert.ok(size < 60_000, `${size} bytes`);
  });

  test('the name that it is called by chooses the program', async () => {
    const migrate = await call('migrate', '--help');
    assert.equal(migrate.code, 0);
    assert.match(migrate.stdout, /^Move a running pod to another node/);
    assert.match(migrate.stdout, /\n {2}kubectl migrate counter --to k8s-master\n/);
    const checkpoint = await call('checkpoint', '--help');
    assert.match(checkpoint.stdout, /^Save the state of running pods/);
    assert.match(checkpoint.stdout, /\n {2}kubectl checkpoint pod counter\n/);
  });

  test('every command has help with examples, in kubectl’s manner', async () => {
    const all = Object.entries(PROGRAMS).flatMap(([program, commands]) =>
      commands.map(({ name }) => `${program.replace('kubectl-', '')} ${name}`.trim()),
    );
    assert.ok(all.length > 20);
    for (const command of all) {
      const { code, stdout, stderr } = await call(...command.split(' '), '--help');
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`\nExamples:\n.*kubectl ${command}`, 's'));
      assert.match(
        stdout,
        /\nExit codes:\n {2}0 done; 1 failed.* 2 wrong command line; 124 waited too long; 130 /,
      );
      assert.doesNotMatch(stdout, /\.mjs|undefined|\[string\]/);
      // Command lines are not broken: they are copied.
      const prose = stdout.split('\n').filter((line) => !/^ {2}(# |kubectl )/.test(line));
      for (const line of prose) assert.ok(line.length <= 100, line);
    }
  });

  test('the version is told without a cluster', async () => {
    const { code, stdout } = await call('migrate', 'version');
    assert.equal(code, 0);
    assert.match(stdout, /^Client Version: \d+\.\d+\.\d+\n$/);
  });

  const wrong: [args: string, said: RegExp][] = [
    ['migrate counter --two k8s-master', /Unknown flag: --two\.\nDid you mean --to\?/],
    [
      'migrate list --all-namespace',
      /Unknown flag: --all-namespace\.\nDid you mean --all-namespaces\?\nSee: kubectl migrate list --help/,
    ],
    ['migrate top --wait', /Unknown flag: --wait\.\nSee: kubectl migrate top --help/],
    ['migrate version counter', /"version" takes no name: what is "counter"\?/],
    ['migrate completion zsh', /One program serves every shell: kubectl migrate completion --install/],
    ['migrate counter --to', /The value of --to is missing\./],
    ['migrate counter --to Node_1', /--to takes the name of a node, not "Node_1"\./],
    ['migrate counter --to a --to b', /--to can be given only once\./],
    ['migrate counter --tcp=drop', /--tcp cannot be "drop"; it takes "close", "refuse"\./],
    ['migrate counter --timeout soon', /--timeout takes a duration such as 90s/],
    ['migrate counter --timeout 1s', /--timeout must be between 10s and 24h/],
    ['migrate --to k8s-master', /Which pod\?/],
    ['migrate pod --to k8s-master', /Which pod\? The name is missing\./],
    ['migrate a b', /What is "b"\? Several pods are named as pod\/NAME, or after the word pod\./],
    ['migrate node/a', /"node\/a" is neither a pod nor something that has pods\./],
    ['migrate stauts counter', /Unknown command "stauts" for "kubectl migrate"\.\nDid you mean "status"\?/],
    ['migrate status', /Which migration or pod\?\nSee: kubectl migrate status --help/],
    ['migrate list -o xml', /cannot be "xml"/],
    ['migrate list counter', /"list" takes no name/],
    ['migrate cancle counter', /Unknown command "cancle" for "kubectl migrate"\.\nDid you mean "cancel"\?/],
    ['migrate cancel', /Which migration or pod\?\nSee: kubectl migrate cancel --help/],
    ['migrate cancel a b', /One migration or pod at a time: what is "b"\?/],
    ['migrate resolve counter', /Which copy shall be kept\? Say --keep source or --keep target\./],
    ['migrate resolve counter --keep both', /--keep cannot be "both"; it takes "source", "target"\./],
    ['checkpoint pod', /Which pod\? The name is missing\.\nSee: kubectl checkpoint --help/],
  ];
  for (const [args, said] of wrong) {
    test(`\`kubectl ${args}\` is a wrong command line: exit code 2`, async () => {
      const { code, stdout, stderr } = await call(...args.split(' '));
      assert.match(stderr, said);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.doesNotMatch(stderr, /\n\s+at /);
    });
  }

  test('no cluster configured and no cluster reachable are one sentence each, with the next step', async () => {
    const none = await call('migrate', 'counter', '--to', 'k8s-master');
    assert.equal(none.code, 1);
    assert.match(none.stderr, /^error: No cluster is configured\.\nSet KUBECONFIG/);
    const dead = await call('migrate', 'counter', '--to', 'k8s-master', '--server', 'https://127.0.0.1:1');
    assert.equal(dead.code, 1);
    assert.match(
      dead.stderr,
      /^error: Cannot reach the cluster at https:\/\/127\.0\.0\.1:1: the connection was refused\.\n.*kubectl cluster-info\n$/,
    );
    const more = await call('migrate', 'counter', '--server', 'https://127.0.0.1:1', '-v=1');
    assert.match(more.stderr, /ECONNREFUSED/);
    assert.doesNotMatch(more.stderr, /\n\s+at /);
  });
});
