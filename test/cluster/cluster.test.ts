import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { clusterDown, clusterUp, openCluster, readRecord, type Cluster } from './cluster.js';
import { writeImage } from './images/oci.js';
import { cgroupDirs } from './node/cgroups.js';
import { topGroup } from './node/handle.js';
import { assetsFolder } from './kube-apiserver.js';
import { isRunning } from './processes.js';
import { happensAsRecorded } from './workloads/as-recorded.testing.js';
import { scenarios } from './workloads/scenarios.js';

const skip = process.getuid?.() !== 0 && 'needs root: the nodes are made of namespaces, mounts and cgroups';

async function eventually<T>(
  look: () => Promise<T | undefined | false>,
  what: string,
  seconds = 20,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < deadline, `not within ${seconds} seconds: ${what}`);
    await delay(100);
  }
}

test('the local cluster', { skip, timeout: 240_000 }, async (t) => {
  const dir = join(mkdtempSync(join(tmpdir(), 'lpm-cluster-')), 'c');
  let cluster: Cluster;
  let kube: KubeClient;
  before(async () => {
    cluster = await clusterUp({ dir, processes: true });
    kube = cluster.client();
  });
  after(async () => {
    kube?.close();
    await clusterDown({ dir });
    rmSync(join(dir, '..'), { recursive: true, force: true });
  });

  const kubectl = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const create = async (name: string, spec: object): Promise<void> => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
    const { code, stderr } = await cluster.kubectl(['create', '-f', '-'], { stdin: JSON.stringify(pod) });
    assert.equal(code, 0, stderr);
  };
  const podWhen = (name: string, condition: (pod: Pod) => boolean, what: string): Promise<Pod> =>
    eventually(async () => {
      const pod = await kube.pods.find(name, 'default');
      return pod && condition(pod) && pod;
    }, what);
  const counter = 'i=0; while true; do i=$((i+1)); echo $i | tee -a /data/log; sleep 0.1; done';
  const counterSpec = {
    terminationGracePeriodSeconds: 2,
    containers: [
      {
        name: 'main',
        image: 'busybox:1.35',
        command: ['sh', '-c', counter],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', emptyDir: {} }],
  };
  const hasRestarted = (pod: Pod, times: number): boolean =>
    pod.status?.containerStatuses?.[0]?.restartCount === times &&
    pod.status.containerStatuses[0].state?.running !== undefined;

  await t.test('has two ready nodes that offer the handler lpm', async () => {
    const { items } = await kube.nodes.list();
    assert.deepEqual(items.map((node) => node.metadata.name).sort(), ['k8s-master', 'k8s-worker']);
    for (const node of items) {
      const handlers = (node.status?.runtimeHandlers ?? []).map(({ name }) => name);
      assert.ok(handlers.includes('lpm'), handlers.join(', '));
    }
    assert.match(await kubectl('get', 'runtimeclass', 'lpm', '-o', 'jsonpath={.handler}'), /^lpm$/);
  });

  await t.test('runs a pod on the worker, with logs and exec', async () => {
    await create('counter', counterSpec);
    await kubectl('wait', '--for=condition=Ready', 'pod/counter', '--timeout=30s');
    const pod = await kube.pods.get('counter', 'default');
    assert.equal(pod.spec?.nodeName, 'k8s-worker');
    assert.match(pod.status?.podIP ?? '', /^10\.244\.20\./);
    await eventually(
      async () => (await kubectl('logs', 'counter')).startsWith('1\n2\n3\n'),
      'three lines of log',
    );
    assert.match(await kubectl('exec', 'counter', '--', 'head', '-n', '2', '/data/log'), /^1\n2\n$/);
    const { code } = await cluster.kubectl(['exec', 'counter', '--', 'sh', '-c', 'exit 7']);
    assert.equal(code, 7);
  });

  await t.test('reaches a pod of one node from a pod of the other', async () => {
    const pod = await kube.pods.get('counter', 'default');
    await create('far', {
      nodeName: 'k8s-master',
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: 'busybox:1.35', command: ['sleep', '1000'] }],
    });
    await kubectl('wait', '--for=condition=Ready', 'pod/far', '--timeout=30s');
    await kubectl('exec', 'far', '--', 'ping', '-c', '1', '-W', '2', pod.status?.podIP ?? '');
    await kubectl('delete', 'pod', 'far');
  });

  await t.test('rolls a Deployment out pod by pod, as a real cluster was recorded doing', async () => {
    const scenario = scenarios.find(({ name }) => name === 'deployment-rollout')!;
    await happensAsRecorded(kube, scenario, { quietMs: 1000, stepTimeoutMs: 60_000 });
  });

  await t.test('keeps pods running over a restart of the kubelet, and counts no restart', async () => {
    const worker = cluster.node('k8s-worker');
    await worker.restartService('kubelet', { signal: 'KILL' });
    const lines = async (): Promise<number> => (await kubectl('logs', 'counter')).split('\n').length;
    const before_ = await eventually(() => lines().catch(() => undefined), 'the kubelet serves logs again');
    await eventually(async () => (await lines()) > before_, 'the log grows');
    assert.ok(hasRestarted(await kube.pods.get('counter', 'default'), 0));
  });

  await t.test(
    'restarts a killed container from its image, and keeps the log of the run before',
    async () => {
      const pod = await kube.pods.get('counter', 'default');
      const id = pod.status?.containerStatuses?.[0]?.containerID?.split('//')[1] ?? '';
      const killed = await cluster
        .node('k8s-worker')
        .exec(['runc', '--root', '/run/containerd/runc/k8s.io', 'kill', id, 'KILL']);
      assert.equal(killed.code, 0, killed.stderr);
      await podWhen('counter', (one) => hasRestarted(one, 1), 'one restart');
      assert.match(await kubectl('logs', 'counter', '--previous', '--limit-bytes=4'), /^1\n2\n/);
    },
  );

  await t.test(
    'says why a pod without its image does not run, and runs it once the image is loaded',
    async () => {
      const spec = {
        containers: [{ name: 'main', image: 'example.com/mine:1', args: ['1000'] }],
        terminationGracePeriodSeconds: 0,
      };
      await create('mine', spec);
      const stuck = await podWhen(
        'mine',
        (pod) =>
          /ErrImagePull|ImagePullBackOff/.test(
            pod.status?.containerStatuses?.[0]?.state?.waiting?.reason ?? '',
          ),
        'the pull fails',
      );
      assert.match(
        stuck.status?.containerStatuses?.[0]?.state?.waiting?.message ?? '',
        /npm run cluster -- load/,
      );
      const archive = join(dir, 'mine.tar');
      const binary = readFileSync(cluster.node('k8s-worker').path('/usr/bin/busybox'));
      await writeImage(
        {
          reference: 'example.com/mine:1',
          entries: [{ path: 'bin/busybox', content: binary, mode: 0o755 }],
          config: { Entrypoint: ['/bin/busybox', 'sleep'] },
        },
        archive,
      );
      for (const node of cluster.nodes) await node.importImage(archive);
      await podWhen('mine', (pod) => hasRestarted(pod, 0), 'the pod runs');
      await kubectl('delete', 'pod', 'mine');
    },
  );

  await t.test('leaves nothing of a deleted pod on its node', async () => {
    const { uid = '' } = (await kube.pods.get('counter', 'default')).metadata;
    await kubectl('delete', 'pod', 'counter');
    const script = `ls -d /sys/fs/cgroup/*/kubepods/*/pod${uid} /var/lib/kubelet/pods/${uid} /var/log/pods/*${uid} 2>/dev/null; ctr -n k8s.io containers ls -q`;
    const { stdout } = await cluster.node('k8s-worker').exec(['sh', '-c', script]);
    assert.equal(stdout, '');
  });

  await t.test('goes on with its objects after a crash of the control plane', async () => {
    writeFileSync(join(dir, 'note.txt'), '');
    await kubectl('create', 'configmap', 'note', `--from-file=${join(dir, 'note.txt')}`);
    // etcd has written down what it has acknowledged; the small API server writes its file a moment later.
    const { state } = cluster.layout;
    const isOnDisk = async () => assetsFolder() || readFileSync(state, 'utf8').includes('"note"');
    await eventually<unknown>(isOnDisk, 'the state is on disk');
    await cluster.restart('control-plane');
    assert.match(await kubectl('get', 'configmap', 'note', '-o', 'name'), /configmap\/note/);
  });

  await t.test('up again starts nothing twice', async () => {
    const before_ = readRecord(cluster.layout)?.processes;
    const again = await clusterUp({ dir });
    assert.deepEqual(readRecord(again.layout)?.processes, before_);
    assert.deepEqual(
      again.nodes.map((node) => node.init),
      cluster.nodes.map((node) => node.init),
    );
  });

  await t.test('down leaves no process, cgroup or file', async () => {
    const processes = [
      ...Object.values(readRecord(cluster.layout)?.processes ?? {}),
      ...cluster.nodes.map((node) => node.init),
    ];
    await clusterDown({ dir });
    assert.deepEqual(processes.filter(isRunning), []);
    assert.equal(existsSync(dir), false);
    assert.equal(existsSync(cluster.layout.run), false);
    const groups = [dir, ...cluster.nodes.map((node) => node.dir)].flatMap((one) =>
      cgroupDirs(topGroup(one)),
    );
    assert.deepEqual(
      groups.filter((group) => existsSync(group)),
      [],
    );
    assert.equal(await openCluster(dir), undefined);
  });
});
