/** Two clusters in two folders, and the commands of `npm run cluster` on one of them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { leftovers } from '../support/leftovers.js';
import { until } from '../support/until.js';
import { clusterDown, clusterUp, type Cluster } from './cluster.js';
import { writeImage } from './images/oci.js';
import { assetsFolder } from './kube-apiserver.js';
import { repository } from './paths.js';
import { run, type RunResult } from './run.js';

const skip = process.getuid?.() !== 0 && 'needs root: the nodes are made of namespaces, mounts and cgroups';

describe('two clusters in two folders', { skip }, () => {
  const parent = mkdtempSync(join(tmpdir(), 'lpm-two-'));
  const [one, other] = [join(parent, 'one'), join(parent, 'other')];
  let clusters: [Cluster, Cluster];
  before(async () => {
    clusters = await Promise.all([
      clusterUp({ dir: one, processes: true }),
      clusterUp({ dir: other, processes: true }),
    ]);
  });
  after(async () => {
    await Promise.all([one, other].map((dir) => clusterDown({ dir })));
    rmSync(parent, { recursive: true, force: true });
  });

  const command = (...args: string[]): Promise<RunResult> =>
    run(process.execPath, ['--import', 'tsx', 'test/cluster/cli.ts', ...args], { cwd: repository });
  /** Asserts that a command fails with this one sentence alone. */
  const assertRefused = async (args: string[], sentence: RegExp): Promise<void> => {
    const { code, stdout, stderr } = await command(...args);
    assert.equal(code, 1, `exit code of ${args.join(' ')}`);
    const lines = `${stdout}${stderr}`.split('\n').filter(Boolean);
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0] ?? '', sentence);
  };
  const kubectl = async (cluster: Cluster, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const lines = async (cluster: Cluster): Promise<number> =>
    (await kubectl(cluster, 'logs', 'counter')).split('\n').length;

  test('run the same pod at once, each its own', async () => {
    await Promise.all(
      clusters.map(async (cluster, index) => {
        const loop = `i=0; while true; do i=$((i+1)); echo cluster ${index}: $i; sleep 0.1; done`;
        const args = ['run', 'counter', '--image=busybox:1.35', '--', 'sh', '-c', loop];
        await kubectl(cluster, ...args);
        await kubectl(cluster, 'wait', '--for=condition=Ready', 'pod/counter', '--timeout=30s');
        await until('it counts', async () => (await lines(cluster)) > 3);
        assert.match(await kubectl(cluster, 'logs', 'counter'), new RegExp(`^(cluster ${index}: \\d+\\n)+$`));
      }),
    );
  });

  test('status shows processes, nodes, their services and images', async () => {
    const { code, stdout } = await command('status', '--dir', one);
    assert.equal(code, 0);
    for (const name of ['lab', 'control-plane', 'relay', 'controllers']) {
      assert.match(stdout, new RegExp(`^${name} +running +pid \\d+\\b`, 'm'));
    }
    for (const node of ['k8s-master', 'k8s-worker']) {
      const services = new RegExp(
        `^${node} +running +pid \\d+, 10\\.88\\.0\\.\\d+\\n(  \\w+ +running\\n|  image +\\S+\\n)+`,
        'm',
      ).exec(stdout)?.[0];
      assert.match(services ?? '', /^ {2}containerd +running$/m);
      assert.match(services ?? '', /^ {2}kubelet +running$/m);
      assert.match(services ?? '', /^ {2}image +docker\.io\/library\/busybox:1\.35$/m);
    }
  });

  test('load puts an image into every node', async () => {
    const archive = join(parent, 'mine.tar');
    const busybox = clusters[0].node('k8s-worker').path('/usr/bin/busybox');
    await writeImage(
      {
        reference: 'example.com/mine:1',
        entries: [{ path: 'bin/busybox', content: readFileSync(busybox), mode: 0o755 }],
        config: { Entrypoint: ['/bin/busybox', 'sleep', '1000'] },
      },
      archive,
    );
    const { code, stderr } = await command('load', archive, '--dir', one);
    assert.equal(code, 0, stderr);
    const images = (cluster: Cluster): Promise<string[]> =>
      Promise.all(
        cluster.nodes.map(
          async (node) => (await node.exec(['ctr', '-n', 'k8s.io', 'images', 'ls', '-q'])).stdout,
        ),
      );
    for (const list of await images(clusters[0])) assert.match(list, /example\.com\/mine:1/);
    for (const list of await images(clusters[1])) assert.doesNotMatch(list, /example\.com\/mine:1/);
  });

  test('load says in a sentence what is not an image', async () => {
    const archive = join(parent, 'none.tar');
    await assertRefused(['load', archive, '--dir', one], /^There is no file .*none\.tar\.$/);
    writeFileSync(archive, 'not an archive');
    await assertRefused(['load', archive, '--dir', one], /none\.tar is not a container image/);
  });

  test('logs shows those of a node, of one service and of the control plane', async () => {
    const kubelet = await command('logs', 'k8s-worker', 'kubelet', '--dir', one);
    assert.equal(kubelet.code, 0, kubelet.stderr);
    assert.match(kubelet.stdout, /kubelet starts/);
    const node = await command('logs', 'k8s-worker', '--dir', one);
    assert.match(node.stdout, /==> .*k8s-worker\/containerd\.log <==/);
    const server = await command('logs', 'control-plane', '--dir', one);
    assert.match(server.stdout, assetsFolder() ? /^[IWE]\d{4} /m : /API server on 10\.88\.0\.1:6443/);
    await assertRefused(['logs', 'k8s-nobody', '--dir', one], /^There is no log of k8s-nobody\b.*k8s-worker/);
    await assertRefused(
      ['logs', 'k8s-worker', 'nothing', '--dir', one],
      /^There is no log of nothing on k8s-worker\b.*kubelet/,
    );
  });

  test('where no cluster runs, every command says so', async () => {
    const dir = join(parent, 'empty');
    const nothing = /^No cluster (runs )?in .*empty\. Start one with: npm run cluster -- up/;
    await assertRefused(['status', '--dir', dir], nothing);
    await assertRefused(['load', join(repository, 'package.json'), '--dir', dir], nothing);
    await assertRefused(['logs', 'k8s-worker', '--dir', dir], nothing);
    mkdirSync(join(parent, 'a folder'));
    await assertRefused(['up', '--dir', join(parent, 'a folder')], /no spaces/);
  });

  test('taking one down leaves the other running', async () => {
    const { code, stderr } = await command('down', '--dir', one);
    assert.equal(code, 0, stderr);
    assert.deepEqual(leftovers(one), []);
    const counted = await lines(clusters[1]);
    await until('the other counts on', async () => (await lines(clusters[1])) > counted);
    assert.match(await kubectl(clusters[1], 'get', 'pod', 'counter'), /1\/1 +Running +0/);
    assert.equal((await command('status', '--dir', other)).code, 0);
  });
});
