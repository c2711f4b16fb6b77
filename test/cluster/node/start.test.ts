import assert from 'node:assert/strict';
import { existsSync, readFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/until.js';
import { counterPod, openCri, runPod, type Cri, type RunningPod } from '../cri.js';
import { processesIn } from './cgroups.js';
import { openNode, startNode, startSingleNode, stopNode, type NodeHandle } from './start.js';
import { shortHash } from '../paths.js';

const skip = process.getuid?.() !== 0 && 'needs root: namespaces, mounts and cgroups';

test('a node with containerd', { skip }, async (t) => {
  let node: NodeHandle;
  let cri: Cri;
  before(async () => {
    node = await startSingleNode();
    cri = openCri(node.criSocket);
  });
  after(async () => {
    cri?.close();
    await node?.stop();
    assert.equal(existsSync(node.dir), false);
  });

  await t.test('offers the handlers runc and lpm', async () => {
    const { runtimeHandlers } = await cri.runtime.status({ verbose: false });
    const names = runtimeHandlers.map((handler) => handler.name);
    assert.ok(names.includes('runc') && names.includes('lpm'), names.join(', '));
  });

  for (const [what, more] of [
    ['root', {}],
    ['another user', { runAsUser: 1000 }],
    ['the handler lpm', { handler: 'lpm' }],
  ] as const) {
    await t.test(`dumps a running counter of ${what}, and restores it with its count`, async () => {
      const pod = await runPod(node, cri, {
        ...counterPod,
        ...more,
        name: `counter-${what.replaceAll(' ', '-')}`,
      });
      await checkpointAndRestore(node, pod);
      await pod.remove();
    });
  }

  await t.test('is found again from its directory', async () => {
    const again = openNode(node.dir);
    assert.equal((await again?.exec(['hostname']))?.stdout.trim(), 'node');
  });

  await t.test('starts containerd again when it dies, and the pod runs on', async () => {
    const pod = await runPod(node, cri, { ...counterPod, name: 'survivor' });
    await node.restartService('containerd', { signal: 'KILL' });
    const { containers } = await until('containerd serves', () =>
      cri.runtime.listContainers({ filter: undefined }),
    );
    const found = containers.find((container) => container.id === pod.containerId);
    assert.equal(found?.state, 1);
    await pod.remove();
  });
});

test('a node can be ended while a pod in it is frozen', { skip }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-frozen-'));
  const node = await startNode({ dir, name: 'frozen' });
  const cri = openCri(node.criSocket);
  const pod = await runPod(node, cri, counterPod);
  const { code, stderr } = await node.exec([
    'runc',
    '--root',
    '/run/containerd/runc/k8s.io',
    'pause',
    pod.containerId,
  ]);
  assert.equal(code, 0, stderr);
  cri.close();
  await stopNode(dir);
  assert.equal(node.running(), false);
  assert.deepEqual(processesIn(`lpm-${shortHash(dir)}/frozen`), []);
  assert.equal(existsSync(dir), false);
});

/** Freezes, dumps, kills and restores with plain runc: what the nodes are for. */
async function checkpointAndRestore(node: NodeHandle, pod: RunningPod): Promise<void> {
  const runc = ['runc', '--root', '/run/containerd/runc/k8s.io'];
  const bundle = `/run/containerd/io.containerd.runtime.v2.task/k8s.io/${pod.containerId}`;
  const file = node.path(`${pod.volumes.data}/counter.log`);
  const must = async (...argv: string[]): Promise<void> => {
    const { code, stdout, stderr } = await node.exec(argv, { timeoutSeconds: 30 });
    assert.equal(code, 0, `${argv.join(' ')}: ${stdout}${stderr}`);
  };
  const lines = (): number => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0);
  await until('three lines', () => lines() >= 3);
  await must(...runc, 'pause', pod.containerId);
  const images = `/var/lib/lpm/${pod.containerId}`;
  await must(
    ...runc,
    'checkpoint',
    '--leave-running',
    '--image-path',
    images,
    '--work-path',
    images,
    pod.containerId,
  );
  const frozenAt = lines();
  await delay(300);
  assert.equal(lines(), frozenAt, 'a frozen container writes nothing');

  // A second container of the same files, in a cgroup of its own, while the first stays frozen.
  const restore = `set -e
    mkdir -p "$1/rootfs"
    mount --bind "$2/rootfs" "$1/rootfs"
    sed 's|"cgroupsPath":"[^"]*"|"cgroupsPath":"/restored"|' "$2/config.json" >"$1/config.json"
    (runc --root /run/containerd/runc/k8s.io restore --detach --bundle "$1" --image-path "$3" --work-path "$3" "$4" \
      </dev/null 2>&1 | cat) >/dev/null 2>&1 &`;
  await must(
    'sh',
    '-c',
    restore,
    'sh',
    `/run/restored-${pod.containerId}`,
    bundle,
    images,
    `copy-${pod.containerId}`,
  );
  await until('the restored process goes on counting', () => lines() > frozenAt + 2);
  await must(...runc, 'delete', '--force', `copy-${pod.containerId}`);
  const counts = [...readFileSync(file, 'utf8').matchAll(/Count=(\d+)/g)].map((match) => Number(match[1]));
  assert.deepEqual(
    counts,
    counts.map((_, index) => index + 1),
  );
  await must(...runc, 'resume', pod.containerId);
}
