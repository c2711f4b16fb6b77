/** What the kubelet stand-in and its nodes do with real containers, next to what was recorded from a real kubelet. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { until } from '../support/until.js';
import { clusterDown, clusterUp, type Cluster } from './cluster.js';
import type { NodeHandle } from './node/handle.js';

const skip = process.getuid?.() !== 0 && 'needs root: the nodes are made of namespaces, mounts and cgroups';

/**
 * Events of a kubelet 1.36.2 with containerd 2.1.9 after the container of a pod was frozen, with the probe of
 * `httpProbed`; the same came when the pod's cgroup was frozen as well, all after "Killing" only once it was thawed.
 */
const recorded = [
  'Created: Container created',
  'Killing: Container main failed liveness probe, will be restarted',
  'Started: Container started',
  'Unhealthy: Liveness probe failed: Get "http://IP:8080/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
];

const image = 'busybox:1.35';
const forever = ['not-ready', 'unreachable'].map((taint) => ({
  key: `node.kubernetes.io/${taint}`,
  operator: 'Exists',
  effect: 'NoExecute',
}));
const sleeper = { name: 'main', image, command: ['sleep', '1000'] };
const httpProbed = {
  name: 'main',
  image,
  command: ['sh', '-c', 'mkdir /www; echo ok >/www/index.html; exec httpd -f -p 8080 -h /www'],
  livenessProbe: {
    httpGet: { path: '/', port: 8080 },
    periodSeconds: 1,
    timeoutSeconds: 1,
    failureThreshold: 2,
  },
};
const trap = (words: string): string[] => [
  'sh',
  '-c',
  `trap '${words}; exit 0' TERM; while :; do sleep 0.1; done`,
];

test('the kubelet stand-in', { skip, timeout: 300_000 }, async (t) => {
  const dir = join(mkdtempSync(join(tmpdir(), 'lpm-kubelet-')), 'c');
  let cluster: Cluster;
  let kube: KubeClient;
  let worker: NodeHandle;
  let master: NodeHandle;

  const create = (name: string, nodeName: string, spec: object): Promise<unknown> =>
    kube.pods.create(
      {
        metadata: { name, namespace: 'default', labels: { app: name } },
        spec: { nodeName, terminationGracePeriodSeconds: 2, ...spec },
      } as object as Pod,
      'default',
    );
  const podWhen = (
    name: string,
    what: string,
    condition: (pod: Pod) => boolean,
    seconds = 40,
  ): Promise<Pod> =>
    until(
      `pod ${name} ${what}`,
      async () => {
        const pod = await kube.pods.find(name, 'default');
        return pod && condition(pod) && pod;
      },
      { timeoutMs: seconds * 1000 },
    );
  const conditionOf = (pod: Pod, type: string): string | undefined =>
    pod.status?.conditions?.find((condition) => condition.type === type)?.status;
  const isReady = (pod: Pod): boolean => conditionOf(pod, 'Ready') === 'True';
  const restarts = (pod: Pod): number => pod.status?.containerStatuses?.[0]?.restartCount ?? -1;
  const idOf = (pod: Pod): string => pod.status?.containerStatuses?.[0]?.containerID?.split('//')[1] ?? '';
  const events = async (name: string): Promise<string[]> => {
    const { items } = await kube.events.list({ namespace: 'default' });
    return items
      .filter((event) => event.involvedObject?.name === name)
      .map(({ reason, message }) => `${reason}: ${message?.trim().replace(/10\.244\.\d+\.\d+/g, 'IP')}`);
  };
  const must = async (node: NodeHandle, ...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await node.exec(argv);
    assert.equal(code, 0, `${argv.join(' ')}: ${stderr}`);
    return stdout;
  };
  const freezer = async (pod: Pod, state: 'frozen' | 'thawed', level: 'container' | 'pod'): Promise<void> => {
    const group = `kubepods/besteffort/pod${pod.metadata.uid}${level === 'container' ? `/${idOf(pod)}` : ''}`;
    const v1 = `/sys/fs/cgroup/freezer/${group}/freezer.state`;
    const [file, word] = existsSync(worker.path(v1))
      ? [v1, state.toUpperCase()]
      : [`/sys/fs/cgroup/${group}/cgroup.freeze`, state === 'frozen' ? '1' : '0'];
    await must(worker, 'sh', '-c', `echo ${word} >${file}`);
  };
  const containersOf = async (node: NodeHandle, uid: string): Promise<string[]> => {
    const list = await must(
      node,
      'ctr',
      '-n',
      'k8s.io',
      'containers',
      'ls',
      '-q',
      `labels."io.kubernetes.pod.uid"==${uid}`,
    );
    return list.split('\n').filter(Boolean);
  };

  before(async () => {
    cluster = await clusterUp({ dir, processes: true });
    kube = cluster.client();
    worker = cluster.node('k8s-worker');
    master = cluster.node('k8s-master');
    const silent = { containers: [sleeper], tolerations: forever };
    const brief = forever.map((toleration) => ({ ...toleration, tolerationSeconds: 1 }));
    await Promise.all([
      create('stays', 'k8s-master', silent),
      create('forced', 'k8s-master', silent),
      create('replaced', 'k8s-master', silent),
      create('evicted', 'k8s-master', { containers: [sleeper], tolerations: brief }),
    ]);
    for (const name of ['stays', 'forced', 'replaced', 'evicted']) await podWhen(name, 'is ready', isReady);
    // The node counts as lost after 40 s: the tests of the other node run meanwhile.
    await cluster.network.cut('k8s-master', 'api-server');
  });
  after(async () => {
    kube?.close();
    await clusterDown({ dir });
    rmSync(join(dir, '..'), { recursive: true, force: true });
  });

  await t.test('reacts to frozen containers as the kubelet does', async () => {
    const exec = { exec: { command: ['true'] }, periodSeconds: 1, failureThreshold: 1 };
    await Promise.all([
      create('http', 'k8s-worker', { containers: [httpProbed] }),
      create('whole', 'k8s-worker', { containers: [httpProbed] }),
      create('exec', 'k8s-worker', {
        containers: [{ ...sleeper, livenessProbe: exec, readinessProbe: exec }],
      }),
    ]);
    const http = await podWhen('http', 'is ready', isReady);
    const whole = await podWhen('whole', 'is ready', isReady);
    const byExec = await podWhen('exec', 'is ready', isReady);
    for (const pod of [byExec, whole, http]) await freezer(pod, 'frozen', 'container');
    await freezer(whole, 'frozen', 'pod');

    const again = await podWhen('http', 'is restarted from its image', (pod) => restarts(pod) === 1);
    assert.equal(again.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 137);
    const seen = async (name: string): Promise<string[]> => {
      // On a busy machine the first probe may come before the container listens: that is not about freezing.
      const list = (await events(name)).filter(
        (line) => !/^(Pulled|Scheduled)|connection refused$/.test(line),
      );
      return [...new Set(list)].sort();
    };
    await until('the events of the real kubelet', async () => {
      assert.deepEqual(await seen('http'), recorded);
      return true;
    });

    // Killed too, but its end cannot come: it stands in the status as if nothing had happened.
    await until('the frozen pod is to be killed', async () =>
      (await seen('whole')).some((line) => line.startsWith('Killing')),
    );
    const stuck = await kube.pods.get('whole', 'default');
    assert.equal(idOf(stuck), idOf(whole));
    assert.ok(isReady(stuck));
    // The pod last: until then nothing moves, after that the container may be gone at once.
    await freezer(whole, 'thawed', 'container');
    await freezer(whole, 'thawed', 'pod');
    await podWhen('whole', 'is restarted once it is thawed', (pod) => restarts(pod) === 1);
    assert.deepEqual(await seen('whole'), recorded);

    const untouched = await kube.pods.get('exec', 'default');
    assert.deepEqual([idOf(untouched), isReady(untouched), restarts(untouched)], [idOf(byExec), true, 0]);
    const errors = (await seen('exec')).filter((line) => line.startsWith('Unhealthy'));
    assert.ok(errors.length > 0);
    for (const line of errors) {
      assert.match(line, /(Liveness|Readiness) probe errored and resulted in unknown state: .*paused/);
    }
    await freezer(untouched, 'thawed', 'container');
  });

  await t.test(
    'lets a readiness probe, not a liveness probe, take a pod out of service and back',
    async () => {
      const probe = { exec: { command: ['cat', '/tmp/ready'] }, periodSeconds: 1, failureThreshold: 1 };
      await create('switch', 'k8s-worker', {
        containers: [
          { ...sleeper, readinessProbe: probe, startupProbe: { tcpSocket: { port: 1 }, periodSeconds: 1 } },
        ],
      });
      const unstarted = await podWhen('switch', 'runs', (pod) => pod.status?.phase === 'Running');
      assert.equal(unstarted.status?.containerStatuses?.[0]?.started, false);
      const probes = await until('the refused startup probe', async () =>
        (await events('switch')).find((line) => line.startsWith('Unhealthy')),
      );
      assert.equal(probes, 'Unhealthy: Startup probe failed: dial tcp IP:1: connect: connection refused');
      const exec = (...argv: string[]) => cluster.kubectl(['exec', 'switch', '--', ...argv]);
      await exec('sh', '-c', 'touch /tmp/ready; nc -l -p 1 </dev/null >/dev/null');
      await podWhen('switch', 'is ready', isReady);
      await exec('rm', '/tmp/ready');
      const pod = await podWhen('switch', 'is not ready any more', (one) => !isReady(one));
      assert.deepEqual([pod.status?.phase, restarts(pod)], ['Running', 0]);
    },
  );

  await t.test('starts sidecars and init containers in their order, and ends sidecars last', async () => {
    const out = { name: 'out', mountPath: '/out' };
    const say = (word: string): string => `echo ${word} >>/out/log`;
    const sidecar = (name: string, more: object) => ({
      name,
      image,
      restartPolicy: 'Always',
      command: trap(say(name)),
      volumeMounts: [out],
      ...more,
    });
    const command = [
      'sh',
      '-c',
      `mkdir /www; httpd -p 8080 -h /www; sleep 1; ${say('one-up')}; touch /www/up; ${trap(say('one'))[2]}`,
    ];
    const exec = (word: string) => ({ exec: { command: ['sh', '-c', say(word)] } });
    await create('order', 'k8s-worker', {
      terminationGracePeriodSeconds: 5,
      initContainers: [
        sidecar('one', { command, startupProbe: { httpGet: { path: '/up', port: 8080 }, periodSeconds: 1 } }),
        { name: 'init', image, command: ['sh', '-c', say('init')], volumeMounts: [out] },
        sidecar('two', {}),
      ],
      containers: [
        {
          name: 'main',
          image,
          command: ['sh', '-c', `${say('main-up')}; ${trap(`sleep 0.5; ${say('main')}`)[2]}`],
          volumeMounts: [out],
          // Only a network name that the pod's own server answers lets the pod begin.
          lifecycle: { postStart: { httpGet: { path: '/up', port: 8080 } }, preStop: exec('main-prestop') },
        },
      ],
      volumes: [{ name: 'out', hostPath: { path: '/var/lib/lpm/order', type: 'DirectoryOrCreate' } }],
    });
    await podWhen('order', 'is ready', isReady);
    const log = async (): Promise<string[]> =>
      (await must(worker, 'cat', '/var/lib/lpm/order/log')).trim().split('\n');
    await until('the container has begun', async () => (await log()).includes('main-up'));
    assert.deepEqual(await log(), ['one-up', 'init', 'main-up']);
    await kube.pods.delete('order', 'default');
    await until('the pod is gone', async () => !(await kube.pods.find('order', 'default')));
    assert.deepEqual((await log()).slice(3), ['main-prestop', 'main', 'two', 'one']);
  });

  await t.test('ends what runs in the cgroup of a deleted pod and is nobody’s', async () => {
    await create('lost', 'k8s-worker', { containers: [sleeper] });
    const { metadata } = await podWhen('lost', 'runs', (pod) => pod.status?.phase === 'Running');
    const { stdout } = await worker.exec([
      'sh',
      '-ec',
      `setsid sleep 7777 </dev/null >/dev/null 2>&1 & for procs in /sys/fs/cgroup/*/kubepods/besteffort/pod${metadata.uid}/cgroup.procs /sys/fs/cgroup/kubepods/besteffort/pod${metadata.uid}/cgroup.procs; do [ ! -e "$procs" ] || echo $! >"$procs"; done; echo $!`,
    ]);
    const pid = stdout.trim();
    const runs = async () => (await worker.exec(['grep', '-qs', '7777', `/proc/${pid}/cmdline`])).code === 0;
    assert.ok(await runs());
    await kube.pods.delete('lost', 'default', { gracePeriodSeconds: 0 });
    await until('it has ended', async () => !(await runs()));
  });

  await t.test('boots a node anew: pods are restarted, disks are kept, memory is empty', async () => {
    const mounts = ['disk', 'memory', 'info'].map((name) => ({ name, mountPath: `/${name}` }));
    await create('durable', 'k8s-worker', {
      containers: [
        {
          name: 'main',
          image,
          command: ['sh', '-c', 'for d in disk memory; do echo run >>/$d/log; done; exec sleep 1000'],
          volumeMounts: mounts,
          env: [{ name: 'CORES', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }],
        },
      ],
      volumes: [
        { name: 'disk', emptyDir: {} },
        { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
        {
          name: 'info',
          downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] },
        },
      ],
    });
    const first = await podWhen('durable', 'is ready', isReady);
    const inPod = async (script: string): Promise<string> =>
      (await cluster.kubectl(['exec', 'durable', '--', 'sh', '-c', script])).stdout.trim();
    assert.match(
      await inPod('echo $CORES; cat /info/labels; df -k /memory'),
      /^\d+\napp="durable"[^]*\b1024\b/,
    );
    assert.equal(
      await inPod('head -c 2000000 /dev/zero 2>/dev/null >/memory/big || echo full; rm /memory/big'),
      'full',
    );

    await worker.reboot();
    const second = await podWhen('durable', 'runs again', (pod) => restarts(pod) === 1 && isReady(pod));
    const last = second.status?.containerStatuses?.[0]?.lastState?.terminated;
    assert.deepEqual([last?.exitCode, last?.containerID], [255, `containerd://${idOf(first)}`]);
    assert.equal(await inPod('wc -l </disk/log; wc -l </memory/log'), '2\n1');
    assert.ok((await events('durable')).some((line) => line.startsWith('SandboxChanged')));
    assert.ok((await events('k8s-worker')).some((line) => line.startsWith('Rebooted')));
  });

  await t.test('keeps pods running on a node that is cut off, and catches up', async () => {
    const before_ = await kube.pods.get('stays', 'default');
    const main = before_.status?.containerStatuses?.[0]?.containerID?.split('//')[1] ?? '';
    // Ended while nobody can be told: the kubelet restarts it all the same.
    await must(master, 'runc', '--root', '/run/containerd/runc/k8s.io', 'kill', main, 'KILL');
    await until(
      'a second run of it',
      async () => (await containersOf(master, before_.metadata.uid ?? '')).length >= 3,
    );

    await until(
      'the node is not ready',
      async () => {
        const node = await kube.nodes.get('k8s-master');
        return node.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'Unknown';
      },
      { timeoutMs: 60_000 },
    );
    await podWhen('stays', 'counts as not ready', (pod) => !isReady(pod));
    await podWhen('evicted', 'is marked for deletion', (pod) => pod.metadata.deletionTimestamp !== undefined);
    const gone = await Promise.all(['forced', 'replaced'].map((name) => kube.pods.get(name, 'default')));
    for (const { metadata } of gone) {
      await kube.pods.delete(metadata.name, 'default', { gracePeriodSeconds: 0 });
      assert.equal((await containersOf(master, metadata.uid ?? '')).length, 2);
    }
    await create('replaced', 'k8s-master', { containers: [sleeper], tolerations: forever });

    await cluster.network.heal();
    const back = await podWhen('stays', 'is ready again', isReady);
    assert.deepEqual([restarts(back), back.metadata.uid], [1, before_.metadata.uid]);
    await until('the evicted pod is gone', async () => !(await kube.pods.find('evicted', 'default')));
    for (const { metadata } of gone) {
      await until(
        `nothing of ${metadata.name} is left`,
        async () => (await containersOf(master, metadata.uid ?? '')).length === 0,
      );
    }
    const fresh = await podWhen('replaced', 'is ready', isReady);
    assert.notEqual(fresh.metadata.uid, gone[1]?.metadata.uid);
  });

  await t.test('slows a link down, and no other', async () => {
    await must(
      master,
      'sh',
      '-c',
      'mkdir -p /tmp/www; head -c 1000000 /dev/zero >/tmp/www/file; busybox httpd -p 7000 -h /tmp/www',
    );
    const seconds = async (): Promise<number> => {
      const began = performance.now();
      await must(worker, 'busybox', 'wget', '-q', '-O', '/dev/null', 'http://10.88.0.10:7000/file');
      return (performance.now() - began) / 1000;
    };
    const fast = await seconds();
    await cluster.network.slow('k8s-master', 'k8s-worker', { rateMbit: 4 });
    // 8 Mbit, of which the first 128 KiB pass at once.
    const slow = await seconds();
    await cluster.network.heal();
    assert.ok(slow > 1.5 && slow > 2 * fast, `${fast} s, then ${slow} s`);
  });
});
