/**
 * A node of the test cluster: real containerd, runc and CRIU in namespaces of their own on this machine.
 *
 * One node alone, without API server and kubelet, for experiments and for the agent's tests:
 *
 *     import { startSingleNode } from '../test/cluster/node/start.js';
 *     const node = await startSingleNode();            // in a temporary directory; ~2 s once .cache is warm
 *     await node.exec(['ctr', '-n', 'k8s.io', 'containers', 'ls']);      // { code, stdout, stderr }
 *     node.criSocket                                   // path on this machine, for grpc-js as `unix:${…}`
 *     node.path('/run/containerd')                     // any path inside the node, seen from this machine
 *     await node.stop();                               // ends everything in it, removes the directory
 *
 * Needs root. What a killed test leaves behind is removed by `stopNode(dir)`, or by starting in the same `dir` again.
 */
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { status, type ServiceError } from '@grpc/grpc-js';
import { openCri } from '../cri.js';
import { testImages, type TestImage } from '../images/images.js';
import { nodeRoot, type Say } from '../node-root.js';
import { shortHash } from '../paths.js';
import { isRunning, recordProcess, type ProcessRecord } from '../processes.js';
import { createCgroups, destroyCgroups, hierarchies } from './cgroups.js';
import {
  enter,
  group,
  handle,
  topGroup,
  type Bind,
  type BootRecord,
  type NodeHandle,
  type NodeRecord,
} from './handle.js';
import { cniConfig, containerdConfig, hostsFile, serviceScript, type NodeConfig } from './config.js';
import { connectNode, type NodeLink } from './network.js';
import {
  installRuntimeHandler,
  installScripts,
  installSysResourceHelp,
  lacksSysResource,
  nodeBinary,
} from './programs.js';
import { containerdSeed, plantSeed } from './seed.js';

export type { Bind, ExecOptions, NodeHandle } from './handle.js';

export interface NodeOptions {
  /** Folder of this node alone; everything it writes lies there. Its cgroup's name is derived from it. */
  dir: string;
  name: string;
  /** Network for the node's pods, a /24. */
  podCidr?: string;
  /** Where the node is connected; a node without has only its loopback device and its own pods. */
  network?: { lab: ProcessRecord; link: NodeLink };
  hosts?: Readonly<Record<string, string>>;
  binds?: readonly Bind[];
  /** Daemons beside containerd: name → command. They are started at once and restarted when they end. */
  services?: Readonly<Record<string, readonly string[]>>;
  /** Puts further files into the node before it starts; `upper` is the writable layer of its root. */
  prepare?: (upper: string) => void | Promise<void>;
  /** Folder on this machine for the logs of the node's daemons; default: in `dir`. */
  logDir?: string;
  /** OCI archives to import; the test images when not given. */
  images?: readonly TestImage[];
  /** A root file system in place of the nodes' usual one. */
  root?: string;
  /** Text of containerd's configuration; null: what the root has. */
  containerd?: string | null;
  /** false: no runtime handler, as on a node before the agent sets it up. */
  handler?: boolean;
  /** A disk of containerd's that holds the images already (seed.ts). */
  seed?: string;
  say?: Say;
}

/** The folders of a node that lie on the real disk: overlayfs cannot be stacked, and data outlives a restart. */
const disks = {
  'var/lib/containerd': '/var/lib/containerd',
  'var/lib/kubelet': '/var/lib/kubelet',
  'var/lib/lpm': '/var/lib/lpm',
  'var/log/pods': '/var/log/pods',
};

/**
 * Starts a node and waits until its containerd serves and holds the images. A node that is still there from an
 * earlier start in the same directory is ended first; what it had on disk stays.
 *
 * @throws when not root, when the node's root cannot be built, or when containerd does not come up (with the end of
 *   its log).
 */
export async function startNode(options: NodeOptions): Promise<NodeHandle> {
  if (process.getuid?.() !== 0) throw new Error('A node needs root: namespaces, mounts and cgroups.');
  const say = options.say ?? (() => {});
  const dir = resolve(options.dir);
  refuseDirectory(dir);
  const root = options.root ?? (await nodeRoot(say));
  const images = options.images ?? (await testImages(options.root ? await nodeRoot(say) : root));
  await endNode(dir);

  const upper = join(dir, 'upper');
  rmSync(upper, { recursive: true, force: true });
  rmSync(join(dir, 'work'), { recursive: true, force: true });
  const binds: Bind[] = Object.entries(disks).map(([from, to]) => ({
    from: join(dir, from),
    to,
    mode: 'rw',
  }));
  const disk = join(dir, 'var/lib/containerd');
  // Another root may have a containerd that keeps its disk in another way.
  const seed =
    options.seed ?? (options.images || options.root ? undefined : await seedWith(root, images, say));
  const seeded = seed !== undefined && !existsSync(disk);
  if (seeded) await plantSeed(seed, disk);
  const logDir = resolve(options.logDir ?? join(dir, 'logs'));
  binds.push({ from: logDir, to: '/var/log/lpm-node', mode: 'rw' });
  for (const bind of binds) mkdirSync(bind.from, { recursive: true });
  binds.push({ ...(await nodeBinary(root, upper)), mode: 'ro' }, ...(options.binds ?? []));

  const help = lacksSysResource();
  const config: NodeConfig = {
    name: options.name,
    podCidr: options.podCidr ?? '10.244.99.0/24',
    hosts: options.hosts ?? { [options.name]: options.network?.link.ip ?? '127.0.1.1' },
    restrictOomScore: help,
    handler: options.handler ?? true,
  };
  writeConfiguration(upper, config, options.services ?? {}, options.containerd);
  installScripts(upper);
  if (config.handler) await installRuntimeHandler(upper);
  if (help) await installSysResourceHelp(upper, say);
  await options.prepare?.(upper);

  const bootRecord: BootRecord = { binds, ...(options.network ? { network: options.network } : {}) };
  const before = { name: options.name, podCidr: config.podCidr, root, logDir, boot: bootRecord };
  try {
    const record: NodeRecord = { ...before, init: await boot(dir, before) };
    const node = recorded(dir, record);
    await waitForContainerd(node);
    if (!seeded) for (const image of images) await node.importImage(image.archive, image.reference);
    // Only now: a node whose start was cut off is not taken for a ready one.
    writeFileSync(join(dir, 'node.json'), JSON.stringify(record));
    return node;
  } catch (error) {
    await endNode(dir);
    throw error;
  }
}

/** A disk of containerd's with these images, from which nodes start quicker than when each unpacks them. */
export const seedWith = (root: string, images: readonly TestImage[], say: Say): Promise<string> =>
  containerdSeed(
    root,
    images,
    { start: (dir) => startNode({ dir, name: 'seed', images }), stop: stopNode },
    say,
  );

/** @throws when no node can lie in a directory of that name. */
export function refuseDirectory(dir: string): void {
  if (/[\s:,\\]/.test(dir)) {
    throw new Error(
      `The directory ${dir} cannot hold a node: overlay mounts want no spaces, colons or commas.`,
    );
  }
}

/** One node in a temporary directory (or `dir`) with containerd alone. See the top of this file. */
export async function startSingleNode(options: Partial<NodeOptions> = {}): Promise<NodeHandle> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'lpm-node-'));
  // stop() removes the directory, whose name was made for this node alone.
  return startNode({ name: 'node', ...options, dir });
}

/** The node that was started in this directory, by this process or another; undefined when none runs there. */
export function openNode(dir: string): NodeHandle | undefined {
  const record = readRecord(resolve(dir));
  return record && isRunning(record.init) ? recorded(resolve(dir), record) : undefined;
}

const recorded = (dir: string, record: NodeRecord): NodeHandle =>
  handle(dir, record, { stop: () => stopNode(dir), reboot: (node) => reboot(dir, record, node) });

async function reboot(dir: string, record: NodeRecord, node: NodeHandle): Promise<void> {
  await endNode(dir);
  record.init = await boot(dir, record);
  await waitForContainerd(node);
  writeFileSync(join(dir, 'node.json'), JSON.stringify(record));
}

/** Ends whatever still runs of a node in this directory, and removes the directory. */
export async function stopNode(dir: string): Promise<void> {
  const full = resolve(dir);
  await endNode(full);
  rmSync(full, { recursive: true, force: true });
}

function readRecord(dir: string): NodeRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(dir, 'node.json'), 'utf8')) as NodeRecord;
  } catch {
    return undefined;
  }
}

/** Everything of a node is in its cgroup, whatever was recorded, so ending the cgroup ends the node. */
async function endNode(dir: string): Promise<void> {
  await destroyCgroups(topGroup(dir));
  rmSync(join(dir, 'node.json'), { force: true });
  rmSync(join(dir, 'init.pid'), { force: true });
}

/** A node's files that depend on what it is; `upper` is the root of what is written, or a layer above it. */
export function writeConfiguration(
  upper: string,
  config: NodeConfig,
  services: Readonly<Record<string, readonly string[]>>,
  containerd?: string | null,
): void {
  const put = (file: string, content: string, mode = 0o644): void => {
    mkdirSync(join(upper, file, '..'), { recursive: true });
    writeFileSync(join(upper, file), content, { mode });
  };
  put('etc/hostname', `${config.name}\n`);
  put('etc/hosts', hostsFile(config));
  put('etc/resolv.conf', 'nameserver 10.96.0.10\n');
  put('etc/machine-id', `${shortHash(config.name).repeat(4)}\n`);
  if (containerd !== null) put('etc/containerd/config.toml', containerd ?? containerdConfig(config));
  put('etc/cni/net.d/10-lpm.conflist', cniConfig(config));
  const all = { containerd: ['/usr/bin/containerd', '--config', '/etc/containerd/config.toml'], ...services };
  for (const [name, command] of Object.entries(all)) {
    put(`etc/lpm-node/services/${name}`, serviceScript(command), 0o755);
  }
}

/** Starts process 1 of a node and connects it; answers the process. */
async function boot(
  dir: string,
  { name, root, logDir, boot: { binds, network } }: Omit<NodeRecord, 'init'>,
): Promise<ProcessRecord> {
  createCgroups(group(dir, name));
  const logFile = join(logDir, 'init.log');
  const log = openSync(logFile, 'a');
  const script = new URL('boot.sh', import.meta.url).pathname;
  const flags = '--mount --uts --ipc --net --pid --cgroup --fork';
  const child = spawn('sh', ['-c', `${enter(dir, name, '')} && exec unshare ${flags} sh '${script}'`], {
    detached: true,
    stdio: ['ignore', log, log],
    env: {
      PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`,
      NODE_DIR: dir,
      NODE_NAME: name,
      LOWER: root,
      BINDS: binds.map((bind) => [bind.from, bind.to, bind.mode].join('\t')).join('\n'),
      CGROUPS: hierarchies()
        .map((hierarchy) => [hierarchy.version, hierarchy.select].join('\t'))
        .sort()
        .join('\n'),
    },
  });
  child.unref();
  closeSync(log);
  const pidFile = join(dir, 'init.pid');
  const deadline = Date.now() + 10_000;
  let ended = false;
  child.on('exit', () => (ended = true));
  while (!existsSync(pidFile) && !ended && Date.now() < deadline) await delay(5);
  if (!existsSync(pidFile)) throw new Error(`The node ${name} did not start: ${tail(logFile)}`);
  const init = recordProcess(Number(readFileSync(pidFile, 'utf8')));
  if (network) await connectNode(root, network.lab, init, network.link);
  return init;
}

async function waitForContainerd(node: NodeHandle): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!existsSync(node.criSocket) || (await node.exec(['ctr', 'version'])).code !== 0) {
    if (!node.running() || Date.now() > deadline) {
      const log = (name: string): string => tail(join(node.logDir, name));
      throw new Error(
        `containerd of node ${node.name} did not come up: ${log('init.log')} ${log('containerd.log')}`,
      );
    }
    await delay(30);
  }
  await criServes(node.criSocket, deadline);
}

/** containerd serves before its CRI does, which says so; one that has none says something else. */
async function criServes(socket: string, deadline: number): Promise<void> {
  const cri = openCri(socket);
  const isUnavailable = (): Promise<boolean> =>
    cri.runtime.listContainers({ filter: undefined }).then(
      () => false,
      (error: unknown) => (error as ServiceError).code === status.UNAVAILABLE,
    );
  try {
    while (Date.now() < deadline && (await isUnavailable())) await delay(30);
  } finally {
    cri.close();
  }
}

const tail = (file: string): string => {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(-12).join('\n').trim();
  } catch {
    return '(no log)';
  }
};
