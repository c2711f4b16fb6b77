/**
 * The local cluster: a network of its own, a control plane and two nodes with real containerd, runc and CRIU, all of
 * it below one folder of this machine (default: .cluster of the current directory), with the project installed as on any
 * other cluster.
 *
 *     const cluster = await clusterUp({ say: console.error });   // idempotent; starts only what does not run
 *     await cluster.kubectl(['get', 'nodes']);                   // { code, stdout, stderr }
 *     cluster.kubeconfig; cluster.node('k8s-worker').exec([…]); cluster.client()
 *     await clusterDown();                                       // removes everything, also after a killed up
 */
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from '../../build.mjs';
import { KubeClient } from '../../common/kube/client.js';
import { loadProgramConfig } from '../../common/kube/config.js';
import { chooseApiServer, podsAdmitted, startControlPlane } from './cluster-api-server.js';
import { startLab } from './cluster-control-plane.js';
import { nodesReady, startClusterNode, startNodePrograms } from './cluster-nodes.js';
import { agentsAsPods, agentsAsProcesses, type Agents } from './cluster-agents.js';
import { applyProject, chooseWay, loadProject, projectReady } from './cluster-installed.js';
import { clusterParts } from './cluster-parts.js';
import { createPki } from './cluster-pki.js';
import {
  alive,
  neededDaemons,
  readRecord,
  writeRecord,
  type ClusterRecord,
  type Replica,
} from './cluster-record.js';
import { leadingReplica, startController, startReplicas } from './cluster-replicas.js';
import { kubectlWith, provideKubectl } from './kubectl.js';
import { layoutOf, nodePlans, type Layout } from './layout.js';
import { takeLock } from './lock.js';
import { applyManifests, readManifests } from './manifests.js';
import { networkFaults, type NetworkFaults } from './network-faults.js';
import { createCgroups, destroyCgroups } from './node/cgroups.js';
import { topGroup, type NodeHandle } from './node/handle.js';
import { openNode, refuseDirectory, stopNode } from './node/start.js';
import type { Say } from './node-root.js';
import { repository } from './paths.js';
import { endProcess } from './processes.js';
import type { RunOptions, RunResult } from './run.js';

export interface ClusterOptions {
  /** Default: .cluster of the current directory. */
  dir?: string;
  say?: Say;
  /**
   * Agents, handler and controller as processes of the nodes and of this machine, where a test has to do with them what cannot be done
   * with pods. Without it they are pods, from the images and the manifests that a real cluster is given. A cluster keeps the way in
   * which it was made; undefined: as it was, pods in a new one.
   */
  processes?: boolean;
  /**
   * With the programs of the test build (test-build.ts), which can be told to die, hang or fail at fault points: as processes, for the
   * images are those of users.
   */
  faults?: boolean;
  /** How many of our controller, of which one leads: 1 or 2. Default: as processes 1, as pods what the manifests say. */
  replicas?: 1 | 2;
  /** Further flags of our controller. */
  controllerFlags?: readonly string[];
}

export { readRecord } from './cluster-record.js';

export interface Cluster {
  layout: Layout;
  kubeconfig: string;
  nodes: NodeHandle[];
  node(name: string): NodeHandle;
  /** Our agents, to be killed, stopped and started. */
  agents: Agents;
  /** Links between nodes, API server, controller and agents that can be cut and slowed. */
  network: NetworkFaults;
  kubectl(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  client(): KubeClient;
  /** Ends the API server, Kubernetes' controllers or our own (as a process), and starts them anew, as a crash would. */
  restart(daemon: 'control-plane' | 'controllers' | Replica): Promise<void>;
  /** Which of our controllers acts, of several processes. */
  leader(): Promise<Replica | undefined>;
}

export const defaultDir = (): string => join(process.cwd(), '.cluster');

/** @throws one sentence when not root, or with the end of the log of what did not come up. */
export async function clusterUp(options: ClusterOptions = {}): Promise<Cluster> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      'The local cluster needs root: its nodes are made of namespaces, mounts and cgroups. Try sudo.',
    );
  }
  const say = options.say ?? (() => {});
  const layout = layoutOf(options.dir ?? defaultDir());
  refuseDirectory(layout.dir);
  mkdirSync(layout.dir, { recursive: true });
  const release = await takeLock(layout.lock, say);
  try {
    for (const dir of [layout.logs, layout.bin, layout.checkpoints, layout.run])
      mkdirSync(dir, { recursive: true });
    const known = readRecord(layout);
    const assets = chooseApiServer(layout, known);
    const { faults = false, replicas, controllerFlags = [] } = options;
    const { installed } = chooseWay(layout, known, options);
    const { root, images, project, seed } = await clusterParts(installed, say);
    const record: ClusterRecord = {
      port: 0,
      processes: {},
      ...known,
      root,
      faults,
      installed,
      controllerFlags,
      ...(replicas ? { replicas } : {}),
      ...(assets ? { assets } : {}),
    };
    say('certificates and programs');
    await createPki(layout);
    await buildPrograms(layout, faults);
    createCgroups(layout.cgroup);
    await startLab(layout, record, say);
    const [nodes] = await Promise.all([
      Promise.all(
        nodePlans.map(async (plan) => {
          const running = openNode(layout.node(plan.name));
          if (!running) say(`node ${plan.name} (${plan.ip}): containerd, images`);
          const node = running ?? (await startClusterNode(layout, record, plan, images, seed));
          await loadProject(node, project);
          return node;
        }),
      ),
      startControlPlane(layout, record, say).then(async () => {
        if (!installed) return;
        // The pods wait for their nodes.
        say('installing the project (kubectl apply -k manifests)');
        await applyProject(layout, kubectlOf(layout, record), project, { controllerFlags, replicas });
      }),
    ]);
    const cluster = await attach(layout, record, nodes);
    const kube = cluster.client();
    await Promise.all(nodes.map((node) => startNodePrograms(layout, node, record)));
    if (installed) {
      writeRecord(layout, record);
      say('waiting for the pods of controller and agents');
      await Promise.all([nodesReady(kube, layout), podsAdmitted(kube, layout)]);
      await projectReady(cluster, say);
    } else {
      say('definitions and manifests');
      await applyManifests(kube, readManifests(join(repository, 'manifests')));
      await startReplicas(layout, record, say);
      say('waiting for the nodes to be ready');
      await Promise.all([nodesReady(kube, layout), podsAdmitted(kube, layout)]);
    }
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
  if (!record || !neededDaemons(record).every((name) => alive(record, name))) return undefined;
  if (nodes.some((node) => !node)) return undefined;
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
    await Promise.all(Object.values(record?.processes ?? {}).map((found) => endProcess(found, 1000)));
    await destroyCgroups(topGroup(layout.dir));
    rmSync(layout.run, { recursive: true, force: true });
    // Another command may be waiting for the lock in it.
    rmSync(layout.dir, { recursive: true, force: true, maxRetries: 5 });
  } finally {
    release();
  }
}

const kubectlOf =
  (layout: Layout, { root }: ClusterRecord): Cluster['kubectl'] =>
  (args, options) =>
    kubectlWith(root, layout.kubeconfig, args, options);

async function attach(layout: Layout, record: ClusterRecord, nodes: NodeHandle[]): Promise<Cluster> {
  const nodeOf = (name: string): NodeHandle => {
    const found = nodes.find((node) => node.name === name);
    if (found) return found;
    throw new Error(`There is no node ${name}; there are ${nodes.map((node) => node.name).join(', ')}.`);
  };
  const kubectl = kubectlOf(layout, record);
  return {
    layout,
    kubeconfig: layout.kubeconfig,
    nodes,
    node: nodeOf,
    agents: record.installed ? agentsAsPods(kubectl, nodeOf) : agentsAsProcesses(nodeOf),
    network: networkFaults(record.root, record.processes.lab!, nodes),
    kubectl,
    client: () => new KubeClient(loadProgramConfig(layout.kubeconfig), { userAgent: 'lpm-local-cluster' }),
    restart: async (daemon) => {
      const now = readRecord(layout) ?? record;
      const ours = daemon === 'controller' || daemon === 'controller-2';
      if (ours && now.installed) {
        throw new Error('The controller of this cluster is a pod, not a process: delete its pod.');
      }
      const found = now.processes[daemon];
      if (found) await endProcess(found, 0);
      if (ours) {
        await startController(layout, now, daemon, () => {});
      } else await startControlPlane(layout, now, () => {});
    },
    leader: async () => {
      const kube = new KubeClient(loadProgramConfig(layout.kubeconfig), { userAgent: 'lpm-local-cluster' });
      try {
        return await leadingReplica(layout, readRecord(layout) ?? record, kube);
      } finally {
        kube.close();
      }
    },
  };
}

/**
 * Programs of the cluster itself are built anew at each start; agent and controller are taken as they were built, but for
 * those of the test build.
 */
async function buildPrograms(layout: Layout, faults: boolean): Promise<void> {
  await Promise.all(
    Object.entries({
      'kubelet.mjs': 'test/cluster/kubelet/main.ts',
      'controllers.mjs': 'test/cluster/controllers/main.ts',
      'relay.mjs': 'test/cluster/relay.ts',
    }).map(([file, entry]) => bundle(entry, join(layout.bin, file))),
  );
  for (const name of ['agent', 'controller']) {
    if (faults) {
      await bundle(`${name}/main.ts`, join(layout.bin, `${name}.mjs`), { faults });
      continue;
    }
    const built = join(repository, 'dist', `${name}.mjs`);
    // Renamed into place: a program that is being started reads the old or the new one.
    if (existsSync(built)) writeFileSync(join(layout.bin, `${name}.mjs`), readFileSync(built));
  }
}

/** Makes `kubectl` (where the machine has none) and our plugins callable from the cluster's bin folder. */
export async function linkPrograms(cluster: Cluster): Promise<{ ownKubectl: boolean; plugins: boolean }> {
  const record = readRecord(cluster.layout);
  const ownKubectl = await provideKubectl(record?.root ?? '', cluster.layout.bin);
  return { ownKubectl, plugins: linkPlugins(cluster.layout.bin) };
}

/** Links our plugins, as they were built, into a folder. False when they were not. */
export function linkPlugins(bin: string): boolean {
  let plugins = false;
  for (const name of ['kubectl-migrate', 'kubectl-checkpoint']) {
    const built = join(repository, 'dist', `${name}.mjs`);
    if (!existsSync(built)) continue;
    plugins = true;
    rmSync(join(bin, name), { force: true });
    symlinkSync(built, join(bin, name));
  }
  return plugins;
}
