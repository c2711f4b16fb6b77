import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dryRunProblem } from './dry-run.js';
import { flagOf, listeningInodes, systemdCgroup } from './find-process.js';
import { offersHandler } from './offers.js';
import { neededByContainers, programsToInstall } from './programs.js';
import { withHandler } from './handler-pods.js';
import { heldBack } from './held-back.js';
import { restartWay } from './restart-way.js';
import { runcCandidates } from './runc-candidates.js';
import type { Table } from './toml.js';
import { atLeast } from './version.js';
import { PodSandbox } from '../../proto/gen/runtime/v1/cri.js';

describe('how the runtime is restarted', () => {
  const process = { pid: 812, parent: 1, cgroup: '/system.slice/containerd.service' };

  test('by the unit of systemd that it runs in, whatever its name', () => {
    const way = (cgroup: string) => restartWay({ ...process, cgroup }, { init: 'systemd' });
    assert.deepEqual(way('/system.slice/containerd.service'), { by: 'systemd', unit: 'containerd.service' });
    assert.deepEqual(way('/system.slice/k3s-agent.service'), { by: 'systemd', unit: 'k3s-agent.service' });
    assert.deepEqual(way('/system.slice/docker-1.scope/system.slice/crio.service'), {
      by: 'systemd',
      unit: 'crio.service',
    });
  });

  test('by the administrator’s command before all else', () => {
    assert.deepEqual(restartWay(process, { init: 'systemd', command: 'rc-service crio restart' }), {
      by: 'command',
      argv: ['sh', '-c', 'rc-service crio restart'],
    });
  });

  test('by ending it where something else than systemd supervises it', () => {
    assert.deepEqual(restartWay({ ...process, parent: 20 }, { init: 'bash' }), {
      by: 'supervisor',
      pid: 812,
    });
  });

  test('not at all where nobody would start it again', () => {
    assert.equal(restartWay(process, { init: 'bash' }).by, 'nobody');
    assert.equal(restartWay({ ...process, cgroup: '/user.slice' }, { init: 'systemd' }).by, 'nobody');
  });
});

describe('what is put on a node', () => {
  const shipped = [
    'bin/criu',
    'bin/iptables-restore',
    'bin/lpm-runtime',
    'bin/runc',
    'bin/tar',
    'lib/libc.so.6',
    'libexec/criu',
  ];

  test('is the handler alone where the node has all else', () => {
    const own = { criu: '4.2.1', tools: ['tar', 'iptables-restore'], runc: true };
    assert.deepEqual(programsToInstall(shipped, own), ['bin/lpm-runtime']);
  });

  test('is CRIU with its libraries where the node has none, or one that is too old', () => {
    for (const criu of ['', '3.17', '4.0']) {
      const paths = programsToInstall(shipped, { criu, tools: ['tar', 'iptables-restore'], runc: true });
      assert.deepEqual(paths, ['bin/criu', 'bin/lpm-runtime', 'lib/libc.so.6', 'libexec/criu']);
    }
  });

  test('is what CRIU calls where the node lacks it', () => {
    const own = { criu: '4.2', tools: ['iptables-restore'], runc: true };
    assert.ok(programsToInstall(shipped, own).includes('bin/tar'));
  });

  test('is runc with its libraries where the node has crun alone', () => {
    const own = { criu: '4.2', tools: ['tar', 'iptables-restore'], runc: false };
    assert.deepEqual(programsToInstall(shipped, own), [
      'bin/lpm-runtime',
      'bin/runc',
      'lib/libc.so.6',
      'libexec/criu',
    ]);
  });
});

test('what ends containers stays as long as there are any: the handler, its settings, and the runc that it calls', () => {
  const settings = ['/opt/lpm/etc/runtime', '/opt/lpm/bin/lpm-runtime'];
  const below = ['bin/criu', 'libexec/criu', 'lib/xtables/libxt_tcp.so', 'lib/libc.so.6'];
  const criu = below.map((name) => `/opt/lpm/${name}`);
  assert.deepEqual(neededByContainers([...settings, ...criu]), settings);
  assert.deepEqual(neededByContainers([...settings, ...criu, '/opt/lpm/bin/runc']), [
    ...settings,
    '/opt/lpm/lib/libc.so.6',
    '/opt/lpm/bin/runc',
  ]);
});

describe('a runc of the node’s own is looked for', () => {
  const crun = { runtime: 'crun', path: '/usr/libexec/crio/crun' };
  const paths = (...known: Parameters<typeof runcCandidates>): string[] =>
    runcCandidates(...known).map(({ path }) => path);

  test('first as the default runtime, then as another one of the configuration', () => {
    const runc = { runtime: 'runc', path: '/opt/runc' };
    assert.deepEqual(paths({ configured: [runc, crun], inPath: '/usr/sbin/runc' }), [
      '/opt/runc',
      '/usr/libexec/crio/crun',
      '/usr/libexec/crio/runc',
      '/usr/sbin/runc',
    ]);
    const [first, second] = runcCandidates({ configured: [crun, runc], inPath: undefined });
    assert.deepEqual([first, second], [crun, runc], 'whose name is known');
  });

  test('then beside the programs of the configuration, then in the PATH', () => {
    assert.deepEqual(paths({ configured: [crun], inPath: '/usr/sbin/runc' }), [
      '/usr/libexec/crio/crun',
      '/usr/libexec/crio/runc',
      '/usr/sbin/runc',
    ]);
    assert.deepEqual(paths({ configured: [], inPath: undefined }), []);
  });
});

test('the runtime is found by its socket, under the older name of /run too', () => {
  const table = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 17265 /run/containerd/containerd.sock
0000000000000000: 00000003 00000000 00000000 0001 03 17299 /run/containerd/containerd.sock
0000000000000000: 00000002 00000000 00010000 0001 01 20111 /var/run/crio/crio.sock
0000000000000000: 00000002 00000000 00010000 0001 01 20112 @abstract`;
  assert.deepEqual(listeningInodes(table, '/run/containerd/containerd.sock'), ['17265']);
  assert.deepEqual(listeningInodes(table, '/run/crio/crio.sock'), ['20111']);
  assert.deepEqual(listeningInodes(table, '/run/other.sock'), []);
});

test('its files are those that its command line names', () => {
  const argv = ['containerd', '-c', '/a.toml', '--root=/r'];
  assert.equal(flagOf(argv, '--config', '-c'), '/a.toml');
  assert.equal(flagOf(argv, '--root'), '/r');
  assert.equal(flagOf(argv, '--state'), undefined);
});

test('its unit is read from systemd’s hierarchy, or from the only one', () => {
  assert.equal(
    systemdCgroup('5:cpu:/x\n1:name=systemd:/system.slice/a.service\n0::/y\n'),
    '/system.slice/a.service',
  );
  assert.equal(systemdCgroup('0::/system.slice/b.service\n'), '/system.slice/b.service');
});

test('it says whether it knows the handler in one of two ways, or not at all', () => {
  const status = (names: string[], config?: object) => ({
    status: undefined,
    features: undefined,
    runtimeHandlers: names.map((name) => ({ name, features: undefined })),
    info: (config ? { config: JSON.stringify(config) } : {}) as Record<string, string>,
  });
  assert.equal(offersHandler(status(['', 'runc', 'lpm'])), true);
  assert.equal(offersHandler(status(['', 'runc'])), false);
  assert.equal(offersHandler(status([], { containerd: { runtimes: { runc: {}, lpm: {} } } })), true);
  assert.equal(offersHandler(status([], { containerd: { runtimes: { runc: {} } } })), false);
  assert.equal(offersHandler(status([])), undefined);
});

test('a change that changes more than the handler is not made', () => {
  const dump = (runtimes: Table, more: Table = {}): Table => ({
    plugins: { 'io.containerd.cri.v1.runtime': { containerd: { runtimes }, ...more } },
  });
  const runc = { runtime_type: 'io.containerd.runc.v2', runtime_path: '' };
  const before = dump({ runc });
  assert.equal(dryRunProblem(before, { ...dump({ runc, lpm: {} }), imports: ['x'] }), '');
  assert.equal(dryRunProblem(before, dump({ runc: { runtime_type: runc.runtime_type }, lpm: {} })), '');
  assert.match(dryRunProblem(before, dump({ lpm: {} })), /something else/);
  assert.match(
    dryRunProblem(dump({ runc }, { cni: { bin_dir: '/x' } }), dump({ runc, lpm: {} })),
    /something else/,
  );
  assert.match(dryRunProblem(before, before), /not among what it reads/);
});

test('versions are compared as numbers', () => {
  assert.ok(atLeast('v2.1.9', 2, 0) && atLeast('1.36.3', 1, 28) && atLeast('4.10', 4, 2));
  assert.ok(!atLeast('1.7.24~ds1', 2, 0) && !atLeast('3.17', 4, 1) && !atLeast('', 1, 0));
});

describe('the pods that run with the handler are known', () => {
  const sandbox = (uid: string, runtimeHandler: string) =>
    PodSandbox.fromPartial({ metadata: { uid, name: uid }, runtimeHandler });
  const names = (...given: Parameters<typeof withHandler>) =>
    withHandler(...given).map(({ metadata }) => metadata?.name);

  test('by what containerd says of them', () => {
    assert.deepEqual(names([sandbox('a', 'lpm'), sandbox('b', 'runc')], [['x', 'b']]), ['a']);
  });

  test('by their monitors under CRI-O, which says nothing of it', () => {
    const monitor = (uid: string) => [
      ...['conmon', '-c', '2e2da70b', '-n', `k8s_back_back_default_${uid}_0`],
      ...['-r', '/opt/lpm/bin/lpm-runtime', '--runtime-arg', '--root=/run/runc'],
    ];
    const sandboxes = ['a1', 'b2', 'c3'].map((uid) => sandbox(uid, ''));
    assert.deepEqual(names(sandboxes, [monitor('b2'), monitor('gone')]), ['b2']);
    assert.deepEqual(names(sandboxes, []), []);
  });
});

describe('a registration that stands', () => {
  const handler = '/opt/lpm/bin/lpm-runtime';
  const path = '/etc/crio/crio.conf.d/99-lpm.conf';
  const moved = [{ path, before: `runtime_path = "${handler}"`, after: 'runtime_root = "/run/runc"' }];
  test('is not changed under restored pods', () => {
    assert.match(heldBack(moved, handler, 2), /no restored pod runs here any more \(2 now\)/);
    const setting = [{ path: '/opt/lpm/etc/runtime', before: undefined, after: '/usr/bin/crun\n' }];
    assert.match(heldBack(setting, handler, 1), /\/opt\/lpm\/etc\/runtime/);
  });
  test('is changed when there are none, and a new one stands in nobody’s way', () => {
    assert.equal(heldBack(moved, handler, 0), '');
    assert.equal(heldBack([{ path, before: undefined, after: handler }], handler, 3), '');
    assert.equal(heldBack([], handler, 3), '');
  });
});
