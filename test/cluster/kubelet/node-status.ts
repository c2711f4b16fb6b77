import { readFileSync, statfsSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../common/errors.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import type { Node } from '../../../common/kube/types.js';
import type { Cri } from '../cri.js';
import { timestamp } from './status.js';

export interface NodeOptions {
  kube: KubeClient;
  cri: Cri;
  name: string;
  ip: string;
  podCidr: string;
  port: number;
  labels: Readonly<Record<string, string>>;
  taints: readonly { key: string; value?: string; effect: string }[];
  log: (message: string) => void;
}

/** The version that this stand-in says of itself: that of the API it follows, marked as what it is. */
export const kubeletVersion = 'v1.36.0-local';

const leaseSeconds = 40;
const renewMs = 10_000;
/** An unchanged status is written again after that time: the lease tells that the node lives. */
const reportMs = 5 * 60_000;

/** Registers the node, then keeps its lease and its status, for ever. */
export async function keepNodeStatus(options: NodeOptions, signal: AbortSignal): Promise<void> {
  let written = '';
  let writtenAt = 0;
  while (!signal.aborted) {
    try {
      const status = await nodeStatus(options);
      // The times of heartbeats are no change.
      const text = JSON.stringify(status, (key, value: unknown) => (/Time$/.test(key) ? undefined : value));
      const known = await options.kube.nodes.find(options.name);
      if (
        text !== written ||
        Date.now() - writtenAt > reportMs ||
        readiness(known?.status) !== readiness(status)
      ) {
        await report(options, status, known);
        written = text;
        writtenAt = Date.now();
      }
      await renewLease(options);
    } catch (error) {
      options.log(`node status: ${messageOf(error)}`);
      written = '';
      await delay(1000, undefined, { signal }).catch(() => {});
      continue;
    }
    await delay(renewMs, undefined, { signal }).catch(() => {});
  }
}

type NodeStatus = NonNullable<Node['status']>;

const readiness = (status: NodeStatus | undefined): string | undefined =>
  status?.conditions?.find(({ type }) => type === 'Ready')?.status;

async function nodeStatus({ cri, ip, name, port }: NodeOptions): Promise<NodeStatus> {
  const now = timestamp(new Date());
  const [version, runtime] = await Promise.all([
    cri.runtime.version({ version: '' }),
    cri.runtime.status({ verbose: false }),
  ]);
  const failing = (runtime.status?.conditions ?? []).filter(
    (condition) => !condition.status && ['RuntimeReady', 'NetworkReady'].includes(condition.type),
  );
  const condition = (type: string, status: 'True' | 'False', reason: string, message: string) => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  });
  const capacity = {
    cpu: String(cpus().length),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor(diskBytes() / 1024)}Ki`,
    pods: '110',
  };
  return {
    capacity,
    allocatable: capacity,
    conditions: [
      condition(
        'MemoryPressure',
        'False',
        'KubeletHasSufficientMemory',
        'kubelet has sufficient memory available',
      ),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      failing.length === 0
        ? condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status')
        : condition('Ready', 'False', 'KubeletNotReady', failing.map(({ message }) => message).join('; ')),
    ],
    addresses: [
      { type: 'InternalIP', address: ip },
      { type: 'Hostname', address: name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    nodeInfo: {
      machineID: read('/etc/machine-id'),
      systemUUID: read('/etc/machine-id'),
      bootID: read('/run/lpm-node/boot-id'),
      kernelVersion: release(),
      osImage: /PRETTY_NAME="([^"]*)"/.exec(read('/etc/os-release'))?.[1] ?? 'Debian',
      containerRuntimeVersion: `${version.runtimeName}://${version.runtimeVersion}`,
      kubeletVersion,
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: architecture(),
    },
    runtimeHandlers: runtime.runtimeHandlers
      .map((handler) => ({
        name: handler.name,
        features: {
          recursiveReadOnlyMounts: handler.features?.recursiveReadOnlyMounts ?? false,
          userNamespaces: handler.features?.userNamespaces ?? false,
        },
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

export const architecture = (): string => (process.arch === 'x64' ? 'amd64' : process.arch);

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
};

function diskBytes(): number {
  const { blocks, bsize } = statfsSync('/var/lib/kubelet');
  return blocks * bsize;
}

/** Creates the node when it is not there; else brings labels and status up to date and leaves what others set. */
async function report(options: NodeOptions, status: NodeStatus, before: Node | undefined): Promise<void> {
  const { kube, name, podCidr } = options;
  const bootId = status.nodeInfo?.bootID;
  if (before?.status?.nodeInfo && before.status.nodeInfo.bootID !== bootId) {
    await reportReboot(options, before, bootId ?? '');
  }
  const labels = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': architecture(),
    ...options.labels,
  };
  if (!before) {
    await kube.nodes.create({
      metadata: { name, labels },
      spec: {
        podCIDR: podCidr,
        podCIDRs: [podCidr],
        ...(options.taints.length > 0 ? { taints: [...options.taints] } : {}),
      },
    });
  } else {
    await kube.nodes.patch(name, undefined, { metadata: { labels } });
  }
  const conditions = (status.conditions ?? []).map((condition) => {
    const old = before?.status?.conditions?.find(({ type }) => type === condition.type);
    return old?.status === condition.status
      ? { ...condition, lastTransitionTime: old.lastTransitionTime }
      : condition;
  });
  const foreign = (before?.status?.conditions ?? []).filter(
    (old) => !conditions.some(({ type }) => type === old.type),
  );
  await kube.nodes.patchStatus(name, undefined, { ...status, conditions: [...conditions, ...foreign] });
}

async function reportReboot({ kube, name }: NodeOptions, node: Node, bootId: string): Promise<void> {
  const now = timestamp(new Date());
  await kube.events.create(
    {
      metadata: { name: `${name}.${bootId}`, namespace: 'default' },
      involvedObject: { apiVersion: 'v1', kind: 'Node', name, uid: node.metadata.uid ?? '' },
      type: 'Warning',
      reason: 'Rebooted',
      message: `Node ${name} has been rebooted, boot id: ${bootId}`,
      source: { component: 'kubelet', host: name },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    },
    'default',
  );
}

async function renewLease({ kube, name }: NodeOptions): Promise<void> {
  const namespace = 'kube-node-lease';
  // Leases have microseconds.
  const renewTime = new Date().toISOString().replace('Z', '000Z');
  const spec = { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime };
  try {
    await kube.leases.patch(name, namespace, { spec });
  } catch (error) {
    if (!(error instanceof ApiError && error.isNotFound)) throw error;
    await kube.leases.create({ metadata: { name, namespace }, spec }, namespace);
  }
}
