import { spawn } from 'node:child_process';
import { apiPort, apiService } from '../layout.js';
import { run } from '../run.js';
import { isRunning, recordProcess, type ProcessRecord } from '../processes.js';
import { readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Runs a program of the nodes' root in the network namespace of a process, so that the machine itself needs no iproute2
 * or iptables. `netns PID` is looked up below /proc, which the root gets in a mount namespace of this one command.
 */
export async function inNetworkOf(root: string, pid: number, argv: readonly string[]): Promise<string> {
  const script =
    'root=$1 net=$2; shift 2; mount --rbind /proc "$root/proc" && mount -t tmpfs tmpfs "$root/run" && ' +
    'exec nsenter --net="$net" chroot "$root" "$@"';
  const namespace = `/proc/${pid}/ns/net`;
  const words = ['--mount', 'sh', '-c', script, 'sh', root, namespace, ...argv];
  const { code, stdout, stderr } = await run('unshare', words);
  if (code !== 0) throw new Error(`"${argv.join(' ')}" failed: ${stderr.trim()}`);
  return stdout;
}

export async function ip(root: string, pid: number, ...args: string[]): Promise<void> {
  await inNetworkOf(root, pid, ['/usr/sbin/ip', ...args]);
}

/**
 * Waits until a process has left this machine's network namespace for one of its own: whatever is set up before that
 * would be set up on the machine.
 */
export async function ownNetwork(record: ProcessRecord): Promise<void> {
  const machine = readlinkSync('/proc/self/ns/net');
  const deadline = Date.now() + 10_000;
  for (;;) {
    if (!isRunning(record))
      throw new Error('A network namespace could not be made. Is this running as root?');
    if (readlinkSync(`/proc/${record.pid}/ns/net`) !== machine) return;
    if (Date.now() > deadline) throw new Error('A network namespace could not be made within 10 seconds.');
    await delay(5);
  }
}

/** Starts a process that does nothing but keep a new network namespace alive. */
export async function startNamespaceHolder(): Promise<ProcessRecord> {
  const child = spawn('unshare', ['--net', 'sleep', 'infinity'], { detached: true, stdio: 'ignore' });
  child.unref();
  if (child.pid === undefined) throw new Error('The program "unshare" (util-linux) is missing.');
  const record = recordProcess(child.pid);
  await ownNetwork(record);
  return record;
}

export const bridgeName = 'lpm0';

/** Turns the namespace of the holder into the cluster's network: a bridge with an address for the API server. */
export async function makeLabNetwork(root: string, lab: ProcessRecord, cidr: string): Promise<void> {
  await ownNetwork(lab);
  const on = (...args: string[]): Promise<void> => ip(root, lab.pid, ...args);
  await on('link', 'set', 'lo', 'up');
  await on('link', 'add', bridgeName, 'type', 'bridge');
  await on('addr', 'add', cidr, 'dev', bridgeName);
  await on('link', 'set', bridgeName, 'up');
  // Packets between pods of two nodes pass this namespace when they go by its routes.
  await run('nsenter', [
    `--net=/proc/${lab.pid}/ns/net`,
    'sh',
    '-c',
    'echo 1 >/proc/sys/net/ipv4/ip_forward; f=/proc/sys/net/bridge/bridge-nf-call-iptables; [ ! -e $f ] || echo 0 >$f',
  ]);
}

export interface NodeLink {
  /** Address of the node on the bridge, e.g. 10.88.0.20. */
  ip: string;
  podCidr: string;
  /** The other nodes, whose pods are reached through their addresses. */
  peers: readonly { ip: string; podCidr: string }[];
  /** Address of the bridge, the way to everything else. */
  gateway: string;
}

/** Connects a node to the bridge. The link vanishes with the node's network namespace. */
export async function connectNode(
  root: string,
  lab: ProcessRecord,
  node: ProcessRecord,
  link: NodeLink,
): Promise<void> {
  await ownNetwork(node);
  const outer = `v${link.ip.split('.').slice(2).join('x')}`;
  const onLab = (...args: string[]): Promise<void> => ip(root, lab.pid, ...args);
  const onNode = (...args: string[]): Promise<void> => ip(root, node.pid, ...args);
  // The kernel takes its time with the namespace of a node that has just ended, whose link may still be there.
  await onLab('link', 'del', outer).catch(() => {});
  await onLab('link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(node.pid));
  await onLab('link', 'set', outer, 'master', bridgeName, 'up');
  await onNode('addr', 'add', `${link.ip}/24`, 'dev', 'eth0');
  await onNode('link', 'set', 'eth0', 'up');
  await onNode('route', 'add', 'default', 'via', link.gateway);
  for (const peer of link.peers) await onNode('route', 'add', peer.podCidr, 'via', peer.ip);
  await onLab('route', 'replace', link.podCidr, 'via', link.ip);
  await serveApiService(root, node, link.gateway);
}

/** What kube-proxy does, for the one Service that every program in a pod knows: the API server's. */
async function serveApiService(root: string, node: ProcessRecord, apiServer: string): Promise<void> {
  const { ip: address, port } = apiService;
  // Packets of pods pass the first chain, those of the node and of pods in its network the second.
  for (const chain of ['PREROUTING', 'OUTPUT']) {
    const match = ['-d', `${address}/32`, '-p', 'tcp', '--dport', String(port)];
    const rule = [...match, '-j', 'DNAT', '--to-destination', `${apiServer}:${apiPort}`];
    await inNetworkOf(root, node.pid, ['/usr/sbin/iptables', '-w', '-t', 'nat', '-A', chain, ...rule]);
  }
}
