import type { Creds, CoreEntry, MntEntry } from '../../../proto/gen/lpm/criu/v1/images.js';
import type { OciSpec } from '../../oci.js';
import { capabilityNames } from '../criu-images/capabilities.js';

/** What CRIU's images ask for that a container's configuration must allow. */
export interface Asked {
  /** Names of the images. */
  names: readonly string[];
  cores: readonly CoreEntry[];
  mounts: readonly MntEntry[];
  /** Keys by which network namespaces are given from outside; empty for one that CRIU would make itself. */
  networks: readonly string[];
}

/**
 * CRIU makes whatever its images say, as root: capabilities, mounts, devices. For images that may come from anybody this
 * compares them with what the runtime has written down for the new container, and tells the first thing that the pod does not
 * have; undefined when there is nothing.
 *
 * @param exists a path is there on this node: what is hidden or read-only in a container is so only where it exists
 */
export function excess(asked: Asked, spec: OciSpec, exists: (path: string) => boolean): string | undefined {
  return (
    foreignImage(asked) ??
    first(asked.cores, (core) => coreProblem(core, spec)) ??
    first(asked.mounts, (mount) => mountProblem(mount, spec)) ??
    uncovered(asked.mounts, spec, exists)
  );
}

function first<T>(each: readonly T[], problem: (value: T) => string | undefined): string | undefined {
  for (const value of each) {
    const found = problem(value);
    if (found) return found;
  }
  return undefined;
}

/** Images of what a container's processes cannot have made: the node's own settings, and formats of CRIU before version 2. */
const FOREIGN =
  /^(?:creds|apparmor|binfmt-misc|bpfmap|autofs|userns|netdev|ifaddr|route6?|rule|ip6?tables|nftables|netfilter)\b/;

function foreignImage({ names, networks }: Asked): string | undefined {
  const found = names.find((name) => FOREIGN.test(name));
  if (found) return `holds the image ${found}, which no container's process needs`;
  return networks.includes('') ? 'holds a network of its own' : undefined;
}

/** CRIU's states of a process (criu/include/pid.h): a zombie has nothing any more. */
const DEAD = 2;
/** prctl(2): SECCOMP_MODE_FILTER */
const FILTER = 2;

function coreProblem({ tc, threadCore }: CoreEntry, spec: OciSpec): string | undefined {
  const creds = threadCore?.creds;
  if (!creds) return tc?.taskState === DEAD ? undefined : 'holds a process without credentials';
  const allowed = new Set(spec.process?.capabilities?.bounding ?? []);
  const sets: (keyof Creds)[] = ['capInh', 'capPrm', 'capEff', 'capBnd', 'capAmb'];
  for (const set of sets) {
    const more = capabilityNames(creds[set] as number[]).find((name) => !allowed.has(name));
    if (more) return `holds a process with the capability ${more}, which the pod does not allow`;
  }
  if (spec.process?.noNewPrivileges) {
    if (!creds.noNewPrivs) return 'holds a process that may gain privileges, which the pod does not allow';
    const uid = spec.process.user?.uid ?? 0;
    const uids = [creds.uid, creds.euid, creds.suid, creds.fsuid];
    // Without new privileges nobody who is not root ever becomes another user.
    if (uid !== 0 && uids.some((each) => each !== uid)) {
      return `holds a process of the user ${uids.find((each) => each !== uid)}, where the pod runs as ${uid}`;
    }
  }
  if (spec.linux?.seccomp && threadCore.seccompMode !== FILTER && tc?.oldSeccompMode !== FILTER) {
    return 'holds a process without a seccomp filter, which the pod has';
  }
  const profile = spec.process?.apparmorProfile;
  if (profile && profile !== 'unconfined' && creds.lsmProfile !== profile) {
    return `holds a process without the AppArmor profile ${profile} of the pod`;
  }
  return undefined;
}

/** mount(2) */
const MS = { ro: 1, nosuid: 2, nodev: 4, noexec: 8 } as const;
/** Kinds of file systems by CRIU's numbers (criu/images/mnt.proto). */
const FSTYPE: Readonly<Record<string, readonly number[]>> = {
  proc: [1],
  sysfs: [2],
  tmpfs: [5],
  devpts: [6],
  mqueue: [14],
  // Of version 1 a tmpfs, in which each hierarchy is mounted from outside.
  cgroup: [5, 12, 23],
  cgroup2: [23],
};
const TMPFS = 5;

const isExternal = ({ extKey, extMount, mountpoint, root }: MntEntry): boolean =>
  extMount ? root === mountpoint : extKey === mountpoint;

function mountProblem(mount: MntEntry, spec: OciSpec): string | undefined {
  const { mountpoint, fstype, flags } = mount;
  if (mountpoint === '/') return undefined;
  const problem = `holds the mount ${JSON.stringify(mountpoint.slice(0, 200))}`;
  if (spec.linux?.readonlyPaths?.includes(mountpoint)) {
    return (flags & MS.ro) !== 0 ? undefined : `${problem}, which can be written, where the pod's cannot`;
  }
  if (spec.linux?.maskedPaths?.includes(mountpoint)) {
    // The runtime hides a file by the node's /dev/null (whose file system is a devtmpfs, not everywhere a tmpfs).
    const hidden = fstype === TMPFS || mount.extKey === '/dev/null' || isExternal(mount);
    return hidden ? undefined : `${problem}, which the pod hides`;
  }
  const given =
    spec.mounts?.find(({ destination }) => destination === mountpoint) ??
    spec.mounts?.find(
      ({ destination, type }) => type === 'cgroup' && mountpoint.startsWith(`${destination}/`),
    );
  if (!given) return `${problem}, which the pod does not have`;
  const kinds = FSTYPE[given.type ?? ''];
  const within = given.destination !== mountpoint;
  const fits = kinds && !within ? kinds.includes(fstype) || isExternal(mount) : isExternal(mount);
  if (!fits) return `${problem} of another kind than the pod's`;
  // The tmpfs of cgroup v1 itself is writable in no harmful way.
  if (given.type === 'cgroup' && fstype === TMPFS) return undefined;
  for (const [option, flag] of Object.entries(MS)) {
    if (given.options?.includes(option) && (flags & flag) === 0) {
      return `${problem} without "${option}", which the pod's has`;
    }
  }
  return undefined;
}

/** What a container must not see or write has a mount over it. */
function uncovered(
  mounts: readonly MntEntry[],
  spec: OciSpec,
  exists: (path: string) => boolean,
): string | undefined {
  const covered = new Set(mounts.map(({ mountpoint }) => mountpoint));
  const paths = [...(spec.linux?.maskedPaths ?? []), ...(spec.linux?.readonlyPaths ?? [])];
  const open = paths.find((path) => !covered.has(path) && exists(path));
  return open && `leaves ${open} open, which the pod protects`;
}
