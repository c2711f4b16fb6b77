import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient } from '../../common/kube/client.js';
import { tlsDir, writeKubeconfig } from './cluster-pki.js';
import type { ClusterRecord } from './cluster-record.js';
import { logTail } from './daemons.js';
import type { TestImage } from './images/images.js';
import { apiPort, gateway, kubeletPort, nodePlans, type Layout, type NodePlan } from './layout.js';
import type { NodeHandle } from './node/handle.js';
import { installRuntimeHandler } from './node/programs.js';
import { startNode } from './node/start.js';
import { testBuild } from './test-build.js';

/** Where the programs and certificates of a node lie inside it. */
const inNode = { bin: '/opt/lpm-cluster/bin', kubelet: '/etc/lpm-cluster', tls: '/etc/lpm/tls' };

export function startClusterNode(
  layout: Layout,
  record: ClusterRecord,
  plan: NodePlan,
  images: readonly TestImage[],
  seed: string,
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
      // An agent that is installed asks for its own.
      ...(record.installed
        ? []
        : [{ from: tlsDir(layout, `agent-${plan.name}`), to: inNode.tls, mode: 'ro' as const }]),
      { from: layout.checkpoints, to: '/mnt/checkpoints', mode: 'rw' },
    ],
    images,
    // As pods the agents put it there.
    handler: !record.installed,
    seed,
    prepare: (upper) => writeKubernetesPki(layout, plan.name, upper),
  });
}

/**
 * What the agent looks for where a kubelet of kubeadm has it: its serving certificate, its own client certificate, and the one
 * with which the API server asks it (which kubeadm leaves on control planes only).
 */
function writeKubernetesPki(layout: Layout, node: string, upper: string): void {
  const put = (folder: string, file: string, ...from: string[]): void => {
    mkdirSync(folder, { recursive: true });
    const content = from.map((name) => readFileSync(join(layout.pki, name), 'utf8')).join('');
    writeFileSync(join(folder, file), content, { mode: 0o600 });
  };
  const kubelet = join(layout.node(node), 'var/lib/kubelet/pki');
  put(kubelet, 'kubelet.crt', `kubelet-${node}-server.crt`);
  put(kubelet, 'kubelet.key', `kubelet-${node}-server.key`);
  put(kubelet, 'kubelet-client-current.pem', `kubelet-${node}.crt`, `kubelet-${node}.key`);
  const kubernetes = join(upper, 'etc/kubernetes/pki');
  put(kubernetes, 'ca.crt', 'ca.crt');
  put(kubernetes, 'apiserver-kubelet-client.crt', 'apiserver-kubelet-client.crt');
  put(kubernetes, 'apiserver-kubelet-client.key', 'apiserver-kubelet-client.key');
}

/** Kubelet, handler and, unless it is installed as a pod, the agent: started when they do not run, started anew when their program changed. */
export async function startNodePrograms(
  layout: Layout,
  node: NodeHandle,
  { faults = false, installed = false }: Pick<ClusterRecord, 'faults' | 'installed'>,
): Promise<void> {
  const plan = nodePlans.find(({ name }) => name === node.name);
  if (!plan) return;
  const node_ = '/usr/local/bin/node';
  const kubelet = [node_, `${inNode.bin}/kubelet.mjs`, '--node-name', plan.name, '--node-ip', plan.ip];
  kubelet.push('--pod-cidr', plan.podCidr, '--kubeconfig', `${inNode.kubelet}/kubeconfig`);
  kubelet.push('--tls-cert', `${inNode.kubelet}/server.crt`, '--tls-key', `${inNode.kubelet}/server.key`);
  kubelet.push('--client-ca', `${inNode.kubelet}/ca.crt`, '--port', String(kubeletPort));
  const labels = Object.entries(plan.labels).map(([key, value]) => `${key}=${value}`);
  kubelet.push('--labels', labels.join(','), '--taints', plan.taints);
  if (faults) kubelet.push(...testBuild.kubelet);
  if (!installed) {
    await installRuntimeHandler(node.path('/'), faults ? { faults, settings: testBuild.handler } : {});
  }
  await keepService(layout, node, 'kubelet', kubelet);
  if (!installed && existsSync(join(layout.bin, 'agent.mjs'))) {
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

export async function nodesReady(kube: KubeClient, layout: Layout): Promise<void> {
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
