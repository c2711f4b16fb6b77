import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crioPrograms, planCrio as planAround, withoutCrioHandler, type CrioFacts } from './crio-plan.js';
import type { Plan } from './plan.js';
import { parseToml, tableAt, type Table } from './toml.js';

const dropInFolder = '/etc/crio/crio.conf.d';
const dropIn = `${dropInFolder}/99-lpm.conf`;
const facts = (version: string, files: Record<string, string>): CrioFacts => ({
  version,
  dropInFolder,
  files: Object.entries(files).map(([path, text]) => ({ path, text })),
  handlerPath: '/opt/lpm/bin/lpm-runtime',
});
/** With the handler around the program of the runtime of that name, which is the default one's unless it is told. */
const planCrio = (given: CrioFacts, behind = crioPrograms(given)[0]?.runtime): Plan =>
  planAround(given, behind);
const registered = (given: CrioFacts, behind?: string): Table => {
  const [change] = planCrio(given, behind).changes;
  assert.equal(change?.path, dropIn);
  const table = tableAt(
    parseToml({ path: dropIn, text: change.after ?? '' }),
    'crio',
    'runtime',
    'runtimes',
    'lpm',
  );
  assert.ok(table);
  return table;
};

const packaged = `[crio.runtime]
default_runtime = "crun"

[crio.runtime.runtimes.crun]
runtime_path = "/usr/libexec/crio/crun"
runtime_root = "/run/crun"
monitor_path = "/usr/libexec/crio/conmon"
allowed_annotations = ["io.containers.trace-syscall"]
container_min_memory = "500KiB"

[crio.runtime.runtimes.runc]
runtime_path = "/usr/libexec/crio/runc"
runtime_root = "/run/runc"
monitor_path = "/usr/libexec/crio/conmon"
`;

describe('the handler in CRI-O', () => {
  test('is a drop-in with all that the default runtime has, but for the program', () => {
    const given = facts('1.36.3', {
      [`${dropInFolder}/10-crio.conf`]: packaged,
      [`${dropInFolder}/20-own.conf`]: '[crio.runtime]\ndefault_runtime = "runc"\n',
    });
    assert.deepEqual(registered(given), {
      runtime_path: '/opt/lpm/bin/lpm-runtime',
      runtime_type: 'oci',
      runtime_root: '/run/runc',
      monitor_path: '/usr/libexec/crio/conmon',
    });
    assert.deepEqual(planCrio(given).runtimeRoots, ['/run/runc']);
  });

  test('has crun’s settings where that is the default one, but for what belongs to runc', () => {
    const given = facts('1.36.3', { [`${dropInFolder}/10-crio.conf`]: packaged });
    assert.deepEqual(crioPrograms(given), [
      { runtime: 'crun', program: '/usr/libexec/crio/crun' },
      { runtime: 'runc', program: '/usr/libexec/crio/runc' },
    ]);
    assert.deepEqual(registered(given, 'runc'), {
      runtime_path: '/opt/lpm/bin/lpm-runtime',
      runtime_type: 'oci',
      runtime_root: '/run/runc',
      monitor_path: '/usr/libexec/crio/conmon',
      allowed_annotations: ['io.containers.trace-syscall'],
    });
    assert.deepEqual(planCrio(given, 'runc').runtimeRoots, ['/run/crun', '/run/runc']);
  });

  test('never keeps runc’s containers where crun keeps its own', () => {
    const root = (text: string): unknown => {
      const [change] = planAround(facts('1.36.3', { '/etc/crio/crio.conf': text }), undefined).changes;
      return (
        tableAt(parseToml({ path: dropIn, text: change?.after ?? '' }), 'crio', 'runtime', 'runtimes', 'lpm')
          ?.runtime_root ?? 'none'
      );
    };
    const crunAt = (path: string): string => `[crio.runtime.runtimes.crun]\nruntime_root = "${path}"\n`;
    assert.equal(root(''), '/run/runc');
    assert.equal(root(crunAt('/run/crun')), '/run/runc');
    assert.equal(root(crunAt('/run/runc')), '/run/runc-lpm');
  });

  test('follows the last file that names the default runtime, whose table stands as a whole', () => {
    const given = facts('1.30.2', {
      '/etc/crio/crio.conf': packaged,
      [`${dropInFolder}/20-own.conf`]: `[crio.runtime]
default_runtime = "runc"
[crio.runtime.runtimes.runc]
runtime_path = "/opt/runc"
monitor_cgroup = "pod"
monitor_env = ["PATH=/opt"]
`,
    });
    assert.deepEqual(registered(given), {
      runtime_path: '/opt/lpm/bin/lpm-runtime',
      runtime_type: 'oci',
      monitor_cgroup: 'pod',
      monitor_env: ['PATH=/opt'],
    });
    assert.deepEqual(planCrio(given).runtimeRoots, []);
  });

  test('has what CRI-O has built in where no file names the default runtime', () => {
    const given = facts('1.36.3', {});
    assert.deepEqual(registered(given), {
      runtime_path: '/opt/lpm/bin/lpm-runtime',
      runtime_type: 'oci',
      runtime_root: '/run/crun',
      monitor_env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    });
    assert.deepEqual(crioPrograms(given), [{ runtime: 'crun', program: 'crun' }]);
    const older = [{ runtime: 'runc', program: 'runc' }];
    assert.deepEqual(crioPrograms(facts('1.30.0', {})), older, 'its default before 1.31');
  });

  test('is written once, and taken away without a trace', () => {
    const before = facts('1.36.3', { [`${dropInFolder}/10-crio.conf`]: packaged });
    const [change] = planCrio(before).changes;
    const after = facts('1.36.3', {
      [`${dropInFolder}/10-crio.conf`]: packaged,
      [dropIn]: change?.after ?? '',
    });
    assert.deepEqual(planCrio(after).changes, []);
    assert.deepEqual(
      withoutCrioHandler(after).map(({ path, after: text }) => [path, text]),
      [[dropIn, undefined]],
    );
    assert.deepEqual(withoutCrioHandler(before), []);
  });

  test('is left alone where somebody has registered it', () => {
    const own = '[crio.runtime.runtimes.lpm]\nruntime_path = "/opt/lpm/bin/lpm-runtime"\n';
    const given = facts('1.36.3', { '/etc/crio/crio.conf': own });
    assert.deepEqual([planCrio(given).changes, planCrio(given).byHand], [[], true]);
    assert.deepEqual(withoutCrioHandler(facts('1.36.3', { [dropIn]: own })), [], 'a file of our name, too');
  });

  test('is refused where it cannot work', () => {
    assert.throws(() => planCrio(facts('1.27.9', {})), /CRI-O 1\.27\.9 is too old/);
    const machine =
      '[crio.runtime]\ndefault_runtime = "kata"\n[crio.runtime.runtimes.kata]\nruntime_type = "vm"\n';
    assert.throws(() => planCrio(facts('1.36.3', { '/etc/crio/crio.conf': machine })), /of type "vm"/);
  });
});
