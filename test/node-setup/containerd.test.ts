/** The set-up of nodes with real containerd, 1.7 and 2, as their administrators have configured them. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { counterPod, runPod, type RunningPod } from '../cluster/cri.js';
import { pauseImage } from '../cluster/images/images.js';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { olderRoot, settingUp, type AdminNode, type SettingUp } from './setting-up.js';

const skip = process.getuid?.() !== 0 && 'needs root: nodes with containerd and runc';

const V2 = 'io.containerd.grpc.v1.cri';
const V3 = 'io.containerd.cri.v1.runtime';
const CNI = '\n  bin_dir = "/usr/lib/cni"\n  conf_dir = "/etc/cni/net.d"\n';
/** This machine's root may lack CAP_SYS_RESOURCE. */
const OOM = '  restrict_oom_score_adj = true\n';

const version2 = `version = 2
# The administrator's own words stay.
[plugins."${V2}"]
${OOM}  sandbox_image = "${pauseImage}"
[plugins."${V2}".cni]${CNI}[plugins."${V2}".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."${V2}".containerd.runtimes.runc.options]
  SystemdCgroup = false
`;
const ownDefault = (section: string, program: string): string => `
[plugins."${section}".containerd]
  default_runtime_name = "own"
[plugins."${section}".containerd.runtimes.own]
  runtime_type = "io.containerd.runc.v2"
[plugins."${section}".containerd.runtimes.own.options]
  BinaryName = "${program}"
`;
const version3 = `version = 3
imports = ["/etc/containerd/conf.d/*.toml"]
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${pauseImage}"
[plugins."${V3}"]
${OOM}[plugins."${V3}".cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "/etc/cni/net.d"
`;
const ownRuncProgram = '#!/bin/sh\necho "$*" >>/run/own-runc.log\nexec runc "$@"\n';

interface Case {
  name: string;
  node: () => Promise<AdminNode>;
  /** Files that are other ones afterwards, below /. */
  changed: string[];
}
const cases: Case[] = [
  {
    name: 'containerd 2 as Debian packages it',
    node: async () => ({}),
    changed: ['etc/containerd/config.toml', 'etc/containerd/conf.d/99-lpm.toml'],
  },
  {
    name: 'containerd 2 with configuration version 2',
    node: async () => ({ config: version2 }),
    changed: ['etc/containerd/config.toml', 'etc/containerd/conf.d/99-lpm.toml'],
  },
  {
    name: 'containerd 2 with configuration version 3, drop-ins and a default runtime of its own',
    node: async () => ({
      config: version3,
      files: {
        '/etc/containerd/conf.d/10-own.toml': `version = 3${ownDefault(V3, '/usr/local/bin/own-runc')}`,
        '/usr/local/bin/own-runc': ownRuncProgram,
      },
    }),
    changed: ['etc/containerd/conf.d/99-lpm.toml'],
  },
  {
    name: 'containerd 1.7 as Debian packages it',
    node: async () => ({ root: await olderRoot() }),
    changed: ['etc/containerd/config.toml'],
  },
  {
    name: 'containerd 1.7 with a drop-in that has the section',
    node: async () => ({
      root: await olderRoot(),
      config: 'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]\n',
      files: { '/etc/containerd/conf.d/cri.toml': version2 },
    }),
    changed: ['etc/containerd/conf.d/cri.toml'],
  },
  {
    name: 'containerd 1.7 with a default runtime of its own',
    node: async () => ({
      root: await olderRoot(),
      config: version2 + ownDefault(V2, '/usr/local/bin/own-runc'),
      files: { '/usr/local/bin/own-runc': ownRuncProgram },
    }),
    changed: ['etc/containerd/config.toml'],
  },
];

/** What the packaged configuration calls the sandboxes' image is another version than the one that is there. */
async function provideSandboxImage({ node }: SettingUp): Promise<void> {
  const { stdout } = await node.exec(['containerd', 'config', 'dump']);
  const name = /^\s*sandbox(?:_image)? = ["'](.+)["']/m.exec(stdout)?.[1] ?? '';
  if (name !== pauseImage) await node.exec(['ctr', '-n', 'k8s.io', 'images', 'tag', pauseImage, name]);
}

const counts = ({ node }: SettingUp, pod: RunningPod): number[] => {
  const file = node.path(`${pod.volumes.data}/counter.log`);
  return existsSync(file) ? countsIn(readFileSync(file, 'utf8')) : [];
};

async function countsOn(here: SettingUp, pod: RunningPod): Promise<void> {
  const from = counts(here, pod).at(-1) ?? 0;
  await until(`${pod.name} counts on`, () => (counts(here, pod).at(-1) ?? 0) >= from + 3);
  assert.equal(countProblem(counts(here, pod)), undefined);
}

describe('an agent sets a node up', { skip }, () => {
  for (const { name, node, changed } of cases) {
    test(name, async (t) => {
      const here = await settingUp(await node());
      t.after(() => here.stop());
      await provideSandboxImage(here);
      const before = await here.files();
      const plain = await runPod(here.node, here.cri, { ...counterPod, name: 'plain' });
      const pid = here.runtimePid();

      const info = await here.agent(['ready', 'failed']);
      assert.equal(info.setUp, 'ready', info.setUpMessage);
      assert.deepEqual([info.handlerReady, info.handlerProblem], [true, '']);
      assert.notEqual(here.runtimePid(), pid, 'containerd was restarted');
      const set = await here.files();
      const differ = Object.keys({ ...before, ...set }).filter(
        (path) => path.startsWith('etc/') && set[path] !== before[path] && set[path] !== '(folder)',
      );
      assert.deepEqual(differ.sort(), [...changed].sort());
      await countsOn(here, plain);

      const own = set['opt/lpm/etc/runtime'];
      if (name.includes('default runtime')) assert.equal(own, '/usr/local/bin/own-runc\n');
      else assert.equal(own, undefined, 'runc is found by its name');
      const mine = await runPod(here.node, here.cri, { ...counterPod, name: 'mine', handler: 'lpm' });
      await countsOn(here, mine);

      const once = here.runtimePid();
      assert.equal((await here.agent(['ready', 'failed'])).setUp, 'ready', 'a second time');
      assert.equal(here.runtimePid(), once, 'nothing is restarted when nothing is to be done');
      assert.deepEqual(await here.files(), set);
      await here.endAgent();

      const refused = await here.uninstall();
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /1 pod\(s\) on this node run with the handler "lpm": default\/mine\./);
      assert.deepEqual(await here.files(), set);

      const forced = await here.uninstall('--force');
      assert.equal(forced.code, 0, forced.stderr);
      assert.match(forced.stdout, /Left in place: \/opt\/lpm\/bin\/lpm-runtime/);
      await countsOn(here, mine);
      await mine.remove();

      const gone = await here.uninstall();
      assert.equal(gone.code, 0, gone.stderr);
      assert.deepEqual(await here.files(), before, 'all is as it was');
      await countsOn(here, plain);
      await assert.rejects(
        runPod(here.node, here.cri, { ...counterPod, name: 'late', handler: 'lpm' }),
        /no runtime for "?lpm/,
      );
    });
  }
});

describe('a node that cannot be set up is left as it was', { skip }, () => {
  const started = async (
    admin: AdminNode,
    after_: (work: () => Promise<void>) => void,
  ): Promise<SettingUp> => {
    const here = await settingUp(admin);
    after_(() => here.stop());
    return here;
  };

  test('when its configuration would not be read again', async (t) => {
    const here = await started({ config: version3 }, (work) => t.after(work));
    writeFileSync(here.node.path('/etc/containerd/config.toml'), `${version3}\n[plugins\n`);
    const before = await here.files();
    const pid = here.runtimePid();
    const { setUp, setUpMessage } = await here.agent(['ready', 'failed']);
    assert.equal(setUp, 'failed');
    assert.match(setUpMessage, /config\.toml is not valid TOML/);
    const set = await here.files();
    for (const path of Object.keys(before)) assert.equal(set[path], before[path]);
    assert.equal(here.runtimePid(), pid, 'and runs on');
  });

  test('when containerd does not come back with what was written', async (t) => {
    const here = await started({ config: version3 }, (work) => t.after(work));
    const pod = await runPod(here.node, here.cri, { ...counterPod, name: 'plain' });
    // What stands for all that only a start can show.
    await here.node.startService('containerd', [
      'sh',
      '-c',
      '[ ! -e /etc/containerd/conf.d/99-lpm.toml ] || exit 1; exec /usr/bin/containerd --config /etc/containerd/config.toml',
    ]);
    const before = await here.files();
    const { setUp, setUpMessage } = await here.agent(['ready', 'failed']);
    assert.equal(setUp, 'failed');
    assert.match(
      setUpMessage,
      /does not serve 20 s after its restart.*as they were before, and it runs with them again/,
    );
    const set = await here.files();
    for (const path of Object.keys(before)) assert.equal(set[path], before[path]);
    assert.equal(set['etc/containerd/conf.d/99-lpm.toml'], undefined);
    await countsOn(here, pod);
    const pid = here.runtimePid();
    const again = await here.agent(['ready', 'failed']);
    assert.match(again.setUpMessage, /not tried again before something changes/);
    assert.equal(here.runtimePid(), pid);
  });

  test('when an agent has died over it', async (t) => {
    const here = await started({ config: version3 }, (work) => t.after(work));
    const before = await here.files();
    // It hangs between ending containerd and its start.
    await here.node.startService('containerd', [
      'sh',
      '-c',
      'while [ -e /run/hold ]; do sleep 0.1; done; exec /usr/bin/containerd --config /etc/containerd/config.toml',
    ]);
    writeFileSync(here.node.path('/run/hold'), '');
    const first = here.agent(['ready', 'failed']).catch(() => {});
    await until('containerd is ended', () => here.agentLog().includes('restarting the container runtime'));
    await here.node.restartService('agent', { signal: 'KILL', down: true });
    writeFileSync(here.node.path('/etc/containerd/conf.d/99-lpm.toml'), 'what it left half done = \n');
    await here.node.exec(['rm', '/run/hold']);
    await first;
    const { setUp, setUpMessage } = await here.agent(['ready', 'failed']);
    assert.equal(setUp, 'ready', setUpMessage);
    await here.endAgent();
    assert.equal((await here.uninstall()).code, 0);
    assert.deepEqual(await here.files(), before);
  });

  test('when it says that it is set up by hand', async (t) => {
    const here = await started({ config: version3, files: { '/opt/lpm/etc/manual': '' } }, (work) =>
      t.after(work),
    );
    const before = await here.files();
    const { setUp, handlerReady } = await here.agent(['manual', 'ready', 'failed']);
    assert.deepEqual([setUp, handlerReady], ['manual', false]);
    assert.deepEqual(await here.files(), before);
  });
});

test(
  'an upgrade replaces the handler, restarts nothing, and leaves pods that run with it alone',
  { skip },
  async (t) => {
    const here = await settingUp({ config: version3 });
    t.after(() => here.stop());
    await here.agent(['ready', 'failed']);
    const pod = await runPod(here.node, here.cri, { ...counterPod, name: 'mine', handler: 'lpm' });
    const pid = here.runtimePid();
    const before = await here.files();
    appendFileSync(here.shippedHandler, '# A newer one.\n');
    assert.equal((await here.agent(['ready', 'failed'])).setUp, 'ready');
    const { 'opt/lpm/bin/lpm-runtime': handler, ...others } = await here.files();
    assert.match(handler ?? '', /# A newer one\.\n$/);
    assert.deepEqual({ ...others, 'opt/lpm/bin/lpm-runtime': before['opt/lpm/bin/lpm-runtime'] }, before);
    assert.equal(here.runtimePid(), pid);
    await countsOn(here, pod);
    await pod.remove();
  },
);

test('a node is not touched while something on it is frozen', { skip }, async (t) => {
  const here = await settingUp({ config: version3 });
  t.after(() => here.stop());
  const pod = await runPod(here.node, here.cri, { ...counterPod, name: 'frozen' });
  const runc = ['runc', '--root', '/run/containerd/runc/k8s.io'];
  assert.equal((await here.node.exec([...runc, 'pause', pod.containerId])).code, 0);
  const pid = here.runtimePid();
  const waiting = await here.agent(['waiting', 'ready', 'failed']);
  assert.equal(waiting.setUp, 'waiting');
  assert.match(waiting.setUpMessage, /restarted when pod default\/frozen is not frozen any more/);
  assert.equal(here.runtimePid(), pid);
  await here.node.exec([...runc, 'resume', pod.containerId]);
  await until('the node is ready', async () => (await here.info()).setUp === 'ready');
  await countsOn(here, pod);
});
