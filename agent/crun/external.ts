import { join } from 'node:path';
import type { OciSpec } from '../oci.js';

/** A mount of a container as proc_pid_mountinfo(5) shows it. */
export interface Mount {
  /** Which folder of its file system is mounted. */
  root: string;
  mountpoint: string;
  fstype: string;
}

export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [front = '', back = ''] = line.split(' - ');
      const [, , , root = '', mountpoint = ''] = front.split(' ');
      return { root: plain(root), mountpoint: plain(mountpoint), fstype: back.split(' ')[0] ?? '' };
    });
}

/** Space, tab, newline and backslash stand there in octal. */
const plain = (text: string): string =>
  text.replace(/\\(040|011|012|134)/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** What of the container's file system can be looked at. */
export interface ContainerFiles {
  isFolder: (path: string) => boolean;
  /** Where a symbolic link points; undefined when it is none. */
  readlink: (path: string) => string | undefined;
}

export interface External {
  /** Mounts that the restoring runtime makes, and the keys by which runc knows them. */
  mounts: { mountpoint: string; key: string }[];
  /** Folders that are hidden by a folder of the node's, instead of by a tmpfs as runc does it. */
  hiddenFolders: string[];
}

/**
 * Which mounts of a container are not its own but come from outside, as CRIU must be told: volumes and files that the kubelet and the
 * runtime provide, what hides files of /proc, and the hierarchies of cgroup v1. Those are the ones, under the keys, that runc gives
 * CRIU when it restores (libcontainer, criu_linux.go).
 */
export function externalMounts(spec: OciSpec, mounts: readonly Mount[], files: ContainerFiles): External {
  const bound = new Set(
    (spec.mounts ?? []).filter(isBind).map(({ destination }) => resolveIn(destination, files)),
  );
  const hidden = new Set(spec.linux?.maskedPaths ?? []);
  const ownCgroups = spec.linux?.namespaces?.some(({ type }) => type === 'cgroup') ?? false;
  const found: External = { mounts: [], hiddenFolders: [] };
  for (const { root, mountpoint, fstype } of mounts) {
    if (bound.has(mountpoint) || (fstype === 'cgroup' && !ownCgroups)) {
      found.mounts.push({ mountpoint, key: mountpoint });
    } else if (hidden.has(mountpoint) && !files.isFolder(mountpoint)) {
      found.mounts.push({ mountpoint, key: '/dev/null' });
    } else if (hidden.has(mountpoint) && (fstype !== 'tmpfs' || root !== '/')) {
      found.mounts.push({ mountpoint, key: mountpoint });
      found.hiddenFolders.push(mountpoint);
    }
  }
  return found;
}

const isBind = ({ type, options = [] }: NonNullable<OciSpec['mounts']>[number]): boolean =>
  type === 'bind' || options.includes('bind') || options.includes('rbind');

/** Linux gives up after as many (path_resolution(7)). */
const MAX_LINKS = 40;

/** The path without symbolic links, none of which leads out of the container. */
export function resolveIn(path: string, { readlink }: Pick<ContainerFiles, 'readlink'>): string {
  let at = '/';
  let left = path.split('/').filter(Boolean);
  for (let links = 0; left.length > 0;) {
    const [name = '', ...rest] = left;
    const next = join(at, name);
    const link = links < MAX_LINKS ? readlink(next) : undefined;
    if (link === undefined) {
      at = next;
      left = rest;
    } else {
      links++;
      if (link.startsWith('/')) at = '/';
      left = [...link.split('/').filter(Boolean), ...rest];
    }
  }
  return at;
}
