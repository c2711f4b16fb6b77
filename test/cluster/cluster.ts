/**
 * The local cluster: a network of its own, a control plane and two nodes with real containerd, runc and CRIU, all of
 * it below one folder of this machine (default: .cluster of the current directory).
 *
 *     const cluster = await clusterUp({ say: console.error });   // idempotent; starts only what does not run
 *     await cluster.kubectl(['get', 'nodes']);                   // { code, stdout, stderr }
 *     cluster.kubeconfig; cluster.node('k8s-worker').exec([…]); cluster.client()
 *     await clusterDown();                                       // removes everything, also after a killed up
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bundle } from '../../build.mjs';
import { messageOf } from '../../common/errors.js';
import { KubeClient } from '../../common/kube/client.js';
import { loadProgramConfig } from '../../common/kube/config.js';
import { createPki, tlsDir, writeKubeconfig } from './cluster-pki.js';
import { logTail, startDaemon } from './daemons.js';
import { kubectlCommand, kubectlWith } from './kubectl.js';
import { apiPort, gateway, kubeletPort, layoutOf, nodePlans, type Layout, type NodePlan } from './layout.js';
import { takeLock } from './lock.js';
import { applyManifests, readManifests } from './manifests.js';
import { testImages } from './images/images.js';
import { createCgroups, destroyCgroups } from './node/cgroups.js';
import { topGroup, type NodeHandle } from './node/handle.js';
import { makeLabNetwork } from './node/network.js';
import { openNode, startNode, stopNode } from './node/start.js';
import { nodeRoot, type Say } from './node-root.js';
import { repository } from './paths.js';
import { endProcess, isRunning, type ProcessRecord } from './processes.js';
import type { RunOptions, RunResult } from './run.js';

export interface ClusterOptions {
  /** Default: .cluster of the current directory. */
  dir?: string;
  say?: Say;
}

/** What is written down of a cluster. */
export interface ClusterRecord {
  root: string;
  /** Port on 127.0.0.1 that leads to the API server. */
  port: number;
  processes: Partial<Record<Daemon, ProcessRecord>>;
}
export type Daemon = 'lab' | 'control-plane' | 'relay' | 'controller';

export interface Cluster {
  layout: Layout;
  kubeconfig: string;
  nodes: NodeHandle[];
  node(name: string): NodeHandle;
  kubectl(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  client(): KubeClient;
  /** Ends a process of the control plane or our controller and starts it anew, as a crash would. */
  restart(daemon: 'control-plane' | 'controller'): Promise<void>;
}

export const defaultDir = (): string => join(process.cwd(), '.cluster');

export function readRecord(layout: Layout): ClusterRecord | undefined {
  try {
    return JSON.parse(readFileSync(layout.record, 'utf8')) as ClusterRecord;
  } catch {
    return undefined;
  }
}

const writeRecord = (layout: Layout, record: ClusterRecord): void =>
  writeFileSync(layout.record, JSON.stringify(record, null, 2));

/** @throws one sentence when not root, or with the end of the log of what did not come up. */
export async function clusterUp(options: ClusterOptions = {}): Promise<Cluster> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      'The local cluster needs root: its nodes are made of namespaces, mounts and cgroups. Try sudo.',
    );
  }
  const say = options.say ?? (() => {});
  const layout = layoutOf(options.dir ?? defaultDir());
  mkdirSync(layout.dir, { recursive: true });
  const release = await takeLock(layout.lock, say);
  try {
    const root = await nodeRoot(say);
    for (const dir of [layout.logs, layout.bin, layout.checkpoints, layout.run])
      mkdirSync(dir, { recursive: true });
    const record: ClusterRecord = { port: 0, processes: {}, ...readRecord(layout), root };
    say('certificates and programs');
    await createPki(layout);
    await buildPrograms(layout);
    createCgroups(layout.cgroup);
    await startLab(layout, record, say);
    const images = await testImages(root);
    const [nodes] = await Promise.all([
      Promise.all(
        nodePlans.map(async (plan) => {
          const running = openNode(layout.node(plan.name));
          if (running) return running;
          say(`node ${plan.name} (${plan.ip}): containerd, images`);
          return startClusterNode(layout, record, plan, images);
        }),
      ),
      startControlPlane(layout, record, say),
    ]);
    const cluster = await attach(layout, record, nodes);
    const kube = cluster.client();
    say('definitions and manifests');
    await applyManifests(kube, readManifests(join(repository, 'manifests')));
    await Promise.all(nodes.map((node) => startNodePrograms(layout, node)));
    await startController(layout, record, say);
    say('waiting for the nodes to be ready');
    await nodesReady(kube, layout);
    kube.close();
    return cluster;
  } finally {
    release();
  }
}

/** The cluster that runs in a folder; undefined when it does not, or not completely. */
export async function openCluster(dir = defaultDir()): Promise<Cluster | undefined> {
  const layout = layoutOf(dir);
  const record = readRecord(layout);
  const nodes = nodePlans.map((plan) => openNode(layout.node(plan.name)));
  const alive = (['lab', 'control-plane', 'relay'] as const).every((name) => {
    const found = record?.processes[name];
    return found && isRunning(found);
  });
  if (!record || !alive || nodes.some((node) => !node)) return undefined;
  return attach(layout, record, nodes as NodeHandle[]);
}

/** Ends every process of the cluster and removes its folder. Also for one whose `up` was killed half way. */
export async function clusterDown(options: ClusterOptions = {}): Promise<void> {
  const say = options.say ?? (() => {});
  const layout = layoutOf(options.dir ?? defaultDir());
  if (process.getuid?.() !== 0) throw new Error('Taking the local cluster down needs root. Try sudo.');
  if (!existsSync(layout.dir)) return;
  const release = await takeLock(layout.lock, say);
  try {
    const record = readRecord(layout);
    say('ending the nodes');
    await Promise.all(nodePlans.map((plan) => stopNode(layout.node(plan.name))));
    say('ending the control plane');
    for (const found of Object.values(record?.processes ?? {})) await endProcess(found, 1000);
    await destroyCgroups(topGroup(layout.dir));
    rmSync(layout.run, { recursive: true, force: true });
    rmSync(layout.dir, { recursive: true, force: true });
  } finally {
    release();
  }
}

async function attach(layout: Layout, record: ClusterRecord, nodes: NodeHandle[]): Promise<Cluster> {
  return {
    layout,
    kubeconfig: layout.kubeconfig,
    nodes,
    node: (name) => {
      const found = nodes.find((node) => node.name === name);
      if (!found)
        throw new Error(`There is no node ${name}; there are ${nodes.map((node) => node.name).join(', ')}.`);
      return found;
    },
    kubectl: (args, options) => kubectlWith(record.root, layout.kubeconfig, args, options),
    client: () => new KubeClient(loadProgramConfig(layout.kubeconfig), { userAgent: 'lpm-local-cluster' }),
    restart: async (daemon) => {
      const now = readRecord(layout) ?? record;
      const found = now.processes[daemon];
      if (found) await endProcess(found, 0);
      if (daemon === 'controller') await startController(layout, now, () => {});
      else await startControlPlane(layout, now, () => {});
    },
  };
}

/** Programs of the cluster itself are built anew at each start; agent and controller are taken as they were built. */
async function buildPrograms(layout: Layout): Promise<void> {
  await Promise.all(
    Object.entries({
      'kubelet.mjs': 'test/cluster/kubelet/main.ts',
      'relay.mjs': 'test/cluster/relay.ts',
    }).map(([file, entry]) => bundle(entry, join(layout.bin, file))),
  );
  for (const name of ['agent', 'controller']) {
    const built = join(repository, 'dist', `${name}.mjs`);
    // Renamed into place: a program that is being started reads the old or the new one.
    if (existsSync(built)) writeFileSync(join(layout.bin, `${name}.mjs`), readFileSync(built));
  }
}

const alive = (record: ClusterRecord, name: Daemon): boolean => {
  const found = record.processes[name];
  return found !== undefined && isRunning(found);
};

/** The network namespace with the bridge. Without it nothing else can be running, so all is started anew. */
async function startLab(layout: Layout, record: ClusterRecord, say: Say): Promise<void> {
  if (alive(record, 'lab')) return;
  say(`network ${gateway}/24`);
  await Promise.all(nodePlans.map((plan) => stopNode(layout.node(plan.name))));
  for (const found of Object.values(record.processes)) await endProcess(found, 1000);
  await destroyCgroups(layout.cgroup);
  createCgroups(layout.cgroup);
  const lab = startDaemon(['unshare', '--net', 'sleep', 'infinity'], {
    cgroup: layout.cgroup,
    log: join(layout.logs, 'lab.log'),
  });
  await makeLabNetwork(record.root, lab, `${gateway}/24`);
  record.processes = { lab };
  writeRecord(layout, record);
}

async function startControlPlane(layout: Layout, record: ClusterRecord, say: Say): Promise<void> {
  const lab = record.processes.lab;
  if (!lab) throw new Error('The network of the cluster does not run.');
  const inside = `https://${gateway}:${apiPort}`;
  if (!alive(record, 'control-plane')) {
    say(`API server and scheduler (${gateway}:${apiPort})`);
    // Run from its source: it reads Kubernetes' own schemas from node_modules.
    const argv = [process.execPath, '--import', import.meta.resolve('tsx')];
    argv.push(
      join(repository, 'test/cluster/control-plane.ts'),
      '--address',
      gateway,
      '--port',
      String(apiPort),
    );
    argv.push('--socket', layout.apiSocket, '--pki', layout.pki, '--state', layout.state);
    record.processes['control-plane'] = startDaemon(argv, {
      cgroup: layout.cgroup,
      log: join(layout.logs, 'control-plane.log'),
      netns: lab,
    });
    writeRecord(layout, record);
  }
  if (!alive(record, 'relay')) {
    record.port ||= await freePort();
    const argv = [process.execPath, join(layout.bin, 'relay.mjs')];
    argv.push('--port', String(record.port), '--socket', layout.apiSocket);
    record.processes.relay = startDaemon(argv, {
      cgroup: layout.cgroup,
      log: join(layout.logs, 'relay.log'),
    });
    writeRecord(layout, record);
  }
  writeKubeconfig(layout, layout.kubeconfig, 'admin', `https://127.0.0.1:${record.port}`);
  writeKubeconfig(layout, join(layout.pki, 'admin.kubeconfig'), 'admin', inside);
  await apiReady(layout, record);
}

async function apiReady(layout: Layout, record: ClusterRecord): Promise<void> {
  const kube = new KubeClient(loadProgramConfig(layout.kubeconfig), {
    userAgent: 'lpm-local-cluster',
    timeoutMs: 2000,
  });
  const deadline = Date.now() + 20_000;
  try {
    for (;;) {
      try {
        await kube.text('GET', '/readyz');
        return;
      } catch (error) {
        const dead = !alive(record, 'control-plane') || !alive(record, 'relay');
        if (dead || Date.now() > deadline) {
          const logs = ['control-plane', 'relay'].map((name) => logTail(join(layout.logs, `${name}.log`)));
          throw new Error(`The API server did not come up (${messageOf(error)}): ${logs.join('\n')}`);
        }
        await delay(50);
      }
    }
  } finally {
    kube.close();
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** Where the programs and certificates of a node lie inside it. */
const inNode = { bin: '/opt/lpm-cluster/bin', kubelet: '/etc/lpm-cluster', tls: '/etc/lpm/tls' };

function startClusterNode(
  layout: Layout,
  record: ClusterRecord,
  plan: NodePlan,
  images: Awaited<ReturnType<typeof testImages>>,
): Promise<NodeHandle> {
  const lab = record.processes.lab;
  if (!lab) throw new Error('The network of the cluster does not run.');
  const secrets = join(layout.pki, `node-${plan.name}`);
  mkdirSync(secrets, { recursive: true, mode: 0o700 });
  writeKubeconfig(
    layout,
    join(secrets, 'kubeconfig'),
    `kubelet-${plan.name}`,
    `https://${gateway}:${apiPort}`,
  );
  for (const [from, to] of [
    [`kubelet-${plan.name}-server.crt`, 'server.crt'],
    [`kubelet-${plan.name}-server.key`, 'server.key'],
    ['ca.crt', 'ca.crt'],
  ] as const) {
    writeFileSync(join(secrets, to), readFileSync(join(layout.pki, from)), { mode: 0o600 });
  }
  return startNode({
    dir: layout.node(plan.name),
    name: plan.name,
    podCidr: plan.podCidr,
    network: {
      lab,
      link: {
        ip: plan.ip,
        podCidr: plan.podCidr,
        peers: nodePlans.filter((other) => other !== plan),
        gateway,
      },
    },
    hosts: Object.fromEntries([['lab', gateway], ...nodePlans.map(({ name, ip }) => [name, ip])]),
    logDir: join(layout.logs, plan.name),
    binds: [
      { from: layout.bin, to: inNode.bin, mode: 'ro' },
      { from: secrets, to: inNode.kubelet, mode: 'ro' },
      { from: tlsDir(layout, `agent-${plan.name}`), to: inNode.tls, mode: 'ro' },
      { from: layout.checkpoints, to: '/mnt/checkpoints', mode: 'rw' },
    ],
    images,
  });
}

/** Kubelet and agent: started when they do not run, started anew when their program changed. */
async function startNodePrograms(layout: Layout, node: NodeHandle): Promise<void> {
  const plan = nodePlans.find(({ name }) => name === node.name);
  if (!plan) return;
  const node_ = '/usr/local/bin/node';
  const kubelet = [node_, `${inNode.bin}/kubelet.mjs`, '--node-name', plan.name, '--node-ip', plan.ip];
  kubelet.push('--pod-cidr', plan.podCidr, '--kubeconfig', `${inNode.kubelet}/kubeconfig`);
  kubelet.push('--tls-cert', `${inNode.kubelet}/server.crt`, '--tls-key', `${inNode.kubelet}/server.key`);
  kubelet.push('--client-ca', `${inNode.kubelet}/ca.crt`, '--port', String(kubeletPort));
  const labels = Object.entries(plan.labels).map(([key, value]) => `${key}=${value}`);
  kubelet.push('--labels', labels.join(','), '--taints', plan.taints);
  await keepService(layout, node, 'kubelet', kubelet);
  if (existsSync(join(layout.bin, 'agent.mjs'))) {
    const agent = [node_, `${inNode.bin}/agent.mjs`, '--node-name', plan.name, '--listen', '0.0.0.0:50051'];
    agent.push('--health-listen', '0.0.0.0:50052', '--tls-dir', inNode.tls);
    agent.push('--cri-socket', '/run/containerd/containerd.sock', '--state-dir', '/var/lib/lpm');
    await keepService(layout, node, 'agent', agent);
  }
}

async function keepService(
  layout: Layout,
  node: NodeHandle,
  name: string,
  command: readonly string[],
): Promise<void> {
  const version = createHash('sha256')
    .update(readFileSync(join(layout.bin, `${name}.mjs`)))
    .update(command.join('\0'))
    .digest('hex');
  const mark = join(node.dir, `${name}.version`);
  const before = existsSync(mark) ? readFileSync(mark, 'utf8') : '';
  if (before === `${node.init.pid} ${version}`) return;
  await node.startService(name, command);
  if (before.startsWith(`${node.init.pid} `)) await node.restartService(name);
  writeFileSync(mark, `${node.init.pid} ${version}`);
}

async function startController(layout: Layout, record: ClusterRecord, say: Say): Promise<void> {
  const program = join(layout.bin, 'controller.mjs');
  const lab = record.processes.lab;
  if (!existsSync(program) || !lab) return;
  const version = createHash('sha256').update(readFileSync(program)).digest('hex');
  const mark = join(layout.dir, 'controller.version');
  const running = record.processes.controller;
  if (running && isRunning(running)) {
    if (existsSync(mark) && readFileSync(mark, 'utf8') === version) return;
    await endProcess(running);
  }
  say('controller');
  record.processes.controller = startDaemon(
    [
      process.execPath,
      program,
      '--kubeconfig',
      join(layout.pki, 'admin.kubeconfig'),
      '--tls-dir',
      tlsDir(layout, 'controller'),
    ],
    { cgroup: layout.cgroup, log: join(layout.logs, 'controller.log'), netns: lab },
  );
  writeRecord(layout, record);
  writeFileSync(mark, version);
}

async function nodesReady(kube: KubeClient, layout: Layout): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { items } = await kube.nodes.list();
    const ready = items.filter((node) =>
      node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
    );
    if (nodePlans.every(({ name }) => ready.some((node) => node.metadata.name === name))) return;
    if (Date.now() > deadline) {
      const logs = nodePlans.map(
        ({ name }) => `${name}: ${logTail(join(layout.logs, name, 'kubelet.log'), 4)}`,
      );
      throw new Error(`The nodes did not become ready within 20 seconds. ${logs.join('\n')}`);
    }
    await delay(50);
  }
}

/** Makes `kubectl` (where the machine has none) and our plugins callable from the cluster's bin folder. */
export async function linkPrograms(cluster: Cluster): Promise<{ ownKubectl: boolean; plugins: boolean }> {
  const record = readRecord(cluster.layout);
  const [command = 'kubectl', ...rest] = await kubectlCommand(record?.root ?? '');
  const ownKubectl = rest.length > 0;
  if (ownKubectl) {
    const words = [command, ...rest].map((word) => `'${word}'`).join(' ');
    writeFileSync(join(cluster.layout.bin, 'kubectl'), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  }
  let plugins = false;
  for (const name of ['kubectl-migrate', 'kubectl-checkpoint']) {
    const built = join(repository, 'dist', `${name}.mjs`);
    if (!existsSync(built)) continue;
    plugins = true;
    rmSync(join(cluster.layout.bin, name), { force: true });
    symlinkSync(built, join(cluster.layout.bin, name));
  }
  return { ownKubectl, plugins };
}
