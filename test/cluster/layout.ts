import { resolve } from 'node:path';
import { shortHash } from './paths.js';

/** One node of the local cluster. */
export interface NodePlan {
  name: string;
  ip: string;
  podCidr: string;
  labels: Readonly<Record<string, string>>;
  /** As the kubelet stand-in's --taints takes them. */
  taints: string;
}

export const gateway = '10.88.0.1';
export const apiPort = 6443;
export const serviceCidr = '10.96.0.0/16';
/** The Service `kubernetes`, by which pods reach the API server. */
export const apiService = { ip: '10.96.0.1', port: 443 };
export const kubeletPort = 10250;

/** The guide's two nodes: a tainted control plane and a worker. */
export const nodePlans: readonly NodePlan[] = [
  {
    name: 'k8s-master',
    ip: '10.88.0.10',
    podCidr: '10.244.10.0/24',
    labels: { 'node-role.kubernetes.io/control-plane': '' },
    taints: 'node-role.kubernetes.io/control-plane:NoSchedule',
  },
  { name: 'k8s-worker', ip: '10.88.0.20', podCidr: '10.244.20.0/24', labels: {}, taints: '' },
];

/** Where the files of a cluster lie: everything below one folder, but for sockets, whose paths must be short. */
export interface Layout {
  dir: string;
  record: string;
  kubeconfig: string;
  pki: string;
  logs: string;
  bin: string;
  /** The shared checkpoint repository, /mnt/checkpoints in every node. */
  checkpoints: string;
  /** Where the small API server keeps its objects. */
  state: string;
  /** Where etcd does. */
  etcd: string;
  lock: string;
  /** Folder of sockets. */
  run: string;
  apiSocket: string;
  /** Where fault points of the controller are armed (common/fault-point.ts); the nodes have theirs in /run/lpm-faults. */
  faults: string;
  /** cgroup of the processes outside the nodes. */
  cgroup: string;
  node(name: string): string;
}

export function layoutOf(directory: string): Layout {
  const dir = resolve(directory);
  const run = `/run/lpm-${shortHash(dir)}`;
  return {
    dir,
    record: `${dir}/cluster.json`,
    kubeconfig: `${dir}/kubeconfig`,
    pki: `${dir}/pki`,
    logs: `${dir}/logs`,
    bin: `${dir}/bin`,
    checkpoints: `${dir}/checkpoints`,
    state: `${dir}/api-state.json`,
    etcd: `${dir}/etcd`,
    lock: `${dir}/lock`,
    run,
    apiSocket: `${run}/api.sock`,
    faults: `${run}/faults`,
    cgroup: `lpm-${shortHash(dir)}/lab`,
    node: (name) => `${dir}/nodes/${name}`,
  };
}
