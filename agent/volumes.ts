import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LpmError } from '../common/errors.js';
import type { Host } from './host.js';
import { isLabel } from './names.js';
import type { OciSpec } from './oci.js';

/** Where the kubelet keeps the emptyDir volumes of a pod (kubernetes pkg/volume/emptydir, on disk and in memory alike). */
export function emptyDirsRoot(podUid: string): string {
  return `/var/lib/kubelet/pods/${podUid}/volumes/kubernetes.io~empty-dir`;
}

export interface EmptyDir {
  name: string;
  /** Path on the node. */
  path: string;
}

/** The emptyDir volumes of a pod that lie on this node. */
export async function findEmptyDirs(host: Host, podUid: string): Promise<EmptyDir[]> {
  const root = emptyDirsRoot(podUid);
  const names = await readdir(host.path(root)).catch(() => [] as string[]);
  return names.filter(isLabel).map((name) => ({ name, path: join(root, name) }));
}

/**
 * Which container's artifacts hold which volume: the first that mounts it; one that no container mounts holds nothing that
 * anybody could miss.
 */
export function assignVolumes(
  volumes: readonly EmptyDir[],
  containers: readonly { name: string; spec: OciSpec }[],
): Map<string, EmptyDir[]> {
  const assigned = new Map<string, EmptyDir[]>(containers.map(({ name }) => [name, []]));
  for (const volume of volumes) {
    const owner = containers.find(({ spec }) =>
      spec.mounts?.some(({ source = '' }) => source === volume.path || source.startsWith(`${volume.path}/`)),
    );
    if (owner) assigned.get(owner.name)?.push(volume);
  }
  return assigned;
}

/** The sandbox's /dev/shm as a path on the node; undefined when the container has a private one (CRIU dumps that). */
export function sharedMemoryOf(spec: OciSpec): string | undefined {
  const mount = spec.mounts?.find(({ destination }) => destination === '/dev/shm');
  // The machine's own (hostIPC) is not the pod's to carry away.
  return mount?.type === 'bind' && mount.source !== '/dev/shm' ? mount.source : undefined;
}

/** Bytes of the files below a folder, as they take room on disk. Stops counting at `limit` entries. */
export async function folderBytes(folder: string, limit = 200_000): Promise<number> {
  let bytes = 0;
  let seen = 0;
  const visit = async (path: string): Promise<void> => {
    const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (++seen > limit) return;
      const full = join(path, entry.name);
      if (entry.isDirectory()) await visit(full);
      else if (entry.isFile()) bytes += (await lstat(full).catch(() => ({ blocks: 0 }))).blocks * 512;
    }
  };
  await visit(folder);
  return bytes;
}

/** @throws StageFailed when the kubelet has not made the volume */
export async function targetVolume(host: Host, podUid: string, name: string): Promise<string> {
  const path = host.path(join(emptyDirsRoot(podUid), name));
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory()) return path;
  throw new LpmError('StageFailed', `The target pod has no emptyDir volume "${name}" on this node.`, {
    hint: 'The target pod must have the volumes of its source.',
  });
}
