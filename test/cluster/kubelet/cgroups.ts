import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseQuantity, qosClass, specOf, uidOf, type ContainerSpec, type Pod } from './pod.js';

const mountPoint = '/sys/fs/cgroup';

/** True on a node with cgroup v2 alone. */
const unified = (): boolean => existsSync(join(mountPoint, 'cgroup.controllers'));

/** The pod's cgroup, as the kubelet names it with the cgroupfs driver. */
export function podCgroup(pod: Pod): string {
  const uid = uidOf(pod);
  switch (qosClass(pod)) {
    case 'Guaranteed':
      return `/kubepods/pod${uid}`;
    case 'Burstable':
      return `/kubepods/burstable/pod${uid}`;
    case 'BestEffort':
      return `/kubepods/besteffort/pod${uid}`;
  }
}

const cpuPeriod = 100_000;
const shares = (cores: number): number => Math.max(2, Math.floor(cores * 1024));
const quota = (cores: number): number => Math.max(1000, Math.floor(cores * cpuPeriod));

export interface Limits {
  cpuShares: number;
  /** Microseconds in each 100 ms; 0 is unlimited. */
  cpuQuota: number;
  /** Bytes; 0 is unlimited. */
  memory: number;
}

export function containerLimits(container: ContainerSpec): Limits {
  const { limits, requests } = container.resources ?? {};
  const cpuLimit = parseQuantity(limits?.cpu ?? '0');
  return {
    cpuShares: shares(parseQuantity(requests?.cpu ?? limits?.cpu ?? '0')),
    cpuQuota: cpuLimit > 0 ? quota(cpuLimit) : 0,
    memory: parseQuantity(limits?.memory ?? '0'),
  };
}

/** The sum of the containers'; a resource is limited for the pod when every container limits it. */
export function podLimits(pod: Pod): Limits {
  const containers = specOf(pod).containers;
  const sum = (read: (container: ContainerSpec) => number): number =>
    containers.reduce((total, container) => total + read(container), 0);
  const cpuLimit = (container: ContainerSpec): number =>
    parseQuantity(container.resources?.limits?.cpu ?? '0');
  const memory = (container: ContainerSpec): number => containerLimits(container).memory;
  const request = (container: ContainerSpec): number =>
    parseQuantity(container.resources?.requests?.cpu ?? container.resources?.limits?.cpu ?? '0');
  return {
    cpuShares: shares(sum(request)),
    cpuQuota: containers.every((container) => cpuLimit(container) > 0) ? quota(sum(cpuLimit)) : 0,
    memory: containers.every((container) => memory(container) > 0) ? sum(memory) : 0,
  };
}

/**
 * The score by which the kernel chooses whom to end first when memory runs out
 * (https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior).
 */
export function oomScoreAdjust(pod: Pod, container: ContainerSpec, memoryCapacity: number): number {
  switch (qosClass(pod)) {
    case 'Guaranteed':
      return -997;
    case 'BestEffort':
      return 1000;
    case 'Burstable': {
      const request = parseQuantity(
        container.resources?.requests?.memory ?? container.resources?.limits?.memory ?? '0',
      );
      return Math.min(999, Math.max(3, Math.floor(1000 - (1000 * request) / memoryCapacity)));
    }
  }
}

/** Makes the pod's cgroup with its limits. Idempotent. */
export function createPodCgroup(pod: Pod): void {
  const limits = podLimits(pod);
  for (const root of roots()) {
    const dir = makeBelow(root, podCgroup(pod));
    if (unified()) {
      // The kernel's own conversion of shares (2 … 262144) to weights (1 … 10000).
      const weight = 1 + Math.floor(((limits.cpuShares - 2) * 9999) / 262142);
      write(dir, 'cpu.weight', String(weight));
      write(dir, 'cpu.max', limits.cpuQuota > 0 ? `${limits.cpuQuota} ${cpuPeriod}` : `max ${cpuPeriod}`);
      write(dir, 'memory.max', limits.memory > 0 ? String(limits.memory) : 'max');
    } else {
      write(dir, 'cpu.shares', String(limits.cpuShares));
      if (limits.cpuQuota > 0) write(dir, 'cpu.cfs_quota_us', String(limits.cpuQuota));
      if (limits.memory > 0) write(dir, 'memory.limit_in_bytes', String(limits.memory));
    }
  }
}

/**
 * Removes the pod's cgroup, whatever its class; false while processes are still in it. They are killed: the runtime has ended all
 * that it knows of, so these are nobody's, such as a container whose creation was called off too late
 * (podContainerManagerImpl.Destroy, pkg/kubelet/cm/pod_container_manager_linux.go).
 */
export function removePodCgroup(uid: string): boolean {
  let gone = true;
  // runc leaves an empty cgroup in the hybrid set-up's v2 hierarchy too.
  for (const root of [...roots(), ...(unified() ? [] : [join(mountPoint, 'unified')])]) {
    const dirs = ['', 'burstable', 'besteffort'].flatMap((qos) =>
      tree(join(root, 'kubepods', qos, `pod${uid}`)),
    );
    for (const dir of dirs) {
      for (const pid of read(dir, 'cgroup.procs').split('\n').filter(Boolean)) endLeftover(Number(pid));
      try {
        rmdirSync(dir);
      } catch {
        gone = gone && !existsSync(dir);
      }
    }
  }
  return gone;
}

function endLeftover(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** The root of each hierarchy: one on cgroup v2, one for each controller on v1. */
function roots(): string[] {
  if (unified()) return [mountPoint];
  return readdirSync(mountPoint, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'unified')
    .map((entry) => join(mountPoint, entry.name));
}

function makeBelow(root: string, path: string): string {
  let dir = root;
  for (const part of path.split('/').filter(Boolean)) {
    const parent = dir;
    dir = join(dir, part);
    if (unified()) {
      for (const controller of read(parent, 'cgroup.controllers').split(' ').filter(Boolean)) {
        write(parent, 'cgroup.subtree_control', `+${controller}`);
      }
    }
    if (existsSync(dir)) continue;
    mkdirSync(dir);
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      // On cgroup v1 a cpuset is born empty, and nothing can run in an empty one.
      if (!unified() && existsSync(join(dir, file))) write(dir, file, read(parent, file));
    }
  }
  return dir;
}

const read = (dir: string, file: string): string => {
  try {
    return readFileSync(join(dir, file), 'utf8').trim();
  } catch {
    return '';
  }
};

function write(dir: string, file: string, value: string): void {
  if (!existsSync(join(dir, file))) return;
  try {
    writeFileSync(join(dir, file), value);
  } catch {
    // A limit that this kernel does not take: the pod runs without it rather than not at all.
  }
}

function tree(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const below = readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => tree(join(dir, entry.name)));
  return [...below, dir];
}
