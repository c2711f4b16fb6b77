import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { must } from '../run.js';
import { podLimits } from './cgroups.js';
import { ConfigError, podField, resourceField, type PodFacts, type Sources } from './env.js';
import { namespaceOf, parseQuantity, specOf, uidOf, type Pod, type VolumeSpec } from './pod.js';

/** Volume contents come from the API server; tokens too. */
export interface VolumeSources extends Sources {
  serviceAccountToken(pod: Pod, request: { audience?: string; expirationSeconds?: number }): Promise<string>;
}

export const podDir = (uid: string): string => `/var/lib/kubelet/pods/${uid}`;

const pluginFolders = {
  emptyDir: 'kubernetes.io~empty-dir',
  configMap: 'kubernetes.io~configmap',
  secret: 'kubernetes.io~secret',
  projected: 'kubernetes.io~projected',
  downwardAPI: 'kubernetes.io~downward-api',
} as const;
type Plugin = keyof typeof pluginFolders;

const volumeFolder = (pod: Pod, plugin: Plugin, name: string): string =>
  `${podDir(uidOf(pod))}/volumes/${pluginFolders[plugin]}/${name}`;

/** A file of a volume: path within it, content, permissions. */
interface VolumeFile {
  content: Buffer;
  mode: number;
}

/**
 * Makes every volume of the pod ready at the kubelet's own paths, and answers volume name → folder on the node.
 * Called again it refreshes what comes from the API server and leaves the rest.
 *
 * @throws ConfigError for what the pod refers to and is not there, or a kind of volume that is not supported.
 */
export async function mountVolumes(
  pod: Pod,
  facts: PodFacts,
  sources: VolumeSources,
): Promise<Map<string, string>> {
  const paths = new Map<string, string>();
  for (const volume of specOf(pod).volumes ?? []) {
    try {
      paths.set(volume.name, await mountVolume(pod, volume, facts, sources));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new ConfigError(`MountVolume.SetUp failed for volume "${volume.name}" : ${error.message}`);
    }
  }
  return paths;
}

async function mountVolume(
  pod: Pod,
  volume: VolumeSpec,
  facts: PodFacts,
  sources: VolumeSources,
): Promise<string> {
  if (volume.hostPath) return hostPath(volume.hostPath);
  if (volume.emptyDir) return emptyDir(pod, volume.name, volume.emptyDir, facts.allocatable.memory);
  const fsGroup = specOf(pod).securityContext?.fsGroup;
  for (const plugin of ['configMap', 'secret', 'projected', 'downwardAPI'] as const) {
    if (!volume[plugin]) continue;
    const folder = volumeFolder(pod, plugin, volume.name);
    writeAtomically(folder, await contents(pod, volume, facts, sources), fsGroup);
    return folder;
  }
  const kind = Object.keys(volume).filter((key) => key !== 'name')[0] ?? 'unknown';
  throw new ConfigError(`volumes of kind ${kind} are not supported by the local cluster`);
}

function hostPath({ path, type }: NonNullable<VolumeSpec['hostPath']>): string {
  switch (type) {
    case 'DirectoryOrCreate':
      mkdirSync(path, { recursive: true });
      break;
    case 'FileOrCreate':
      if (!existsSync(path)) writeFileSync(path, '');
      break;
    case undefined:
    case '':
      // The runtime makes a missing folder, as on any node.
      break;
    default:
      if (!existsSync(path))
        throw new ConfigError(`hostPath type check failed: ${path} is not there (${type})`);
  }
  return path;
}

/** Size of a volume in memory: the least of its own limit, the pod's memory limit and what the node has. */
export function memoryVolumeBytes(
  pod: Pod,
  sizeLimit: string | number | undefined,
  nodeMemory: number,
): number {
  const limits = [podLimits(pod).memory, parseQuantity(sizeLimit ?? '0'), nodeMemory];
  return Math.min(...limits.filter((bytes) => bytes > 0));
}

async function emptyDir(
  pod: Pod,
  name: string,
  { medium, sizeLimit }: NonNullable<VolumeSpec['emptyDir']>,
  nodeMemory: number,
): Promise<string> {
  const folder = volumeFolder(pod, 'emptyDir', name);
  const fresh = !existsSync(folder);
  mkdirSync(folder, { recursive: true });
  if (medium === 'Memory' && !isMountPoint(folder)) {
    const size = memoryVolumeBytes(pod, sizeLimit, nodeMemory);
    await must('mount', ['-t', 'tmpfs', '-o', `mode=1777,size=${size}`, 'tmpfs', folder]);
  } else if (!fresh) {
    return folder;
  }
  const group = specOf(pod).securityContext?.fsGroup;
  if (group !== undefined) chownSync(folder, 0, group);
  // 0777 as the kubelet makes it; setgid where the pod's files belong to a group.
  chmodSync(folder, group === undefined ? 0o777 : 0o2777);
  return folder;
}

/** The files of a volume whose contents come from the API server. */
async function contents(
  pod: Pod,
  volume: VolumeSpec,
  facts: PodFacts,
  sources: VolumeSources,
): Promise<Map<string, VolumeFile>> {
  const files = new Map<string, VolumeFile>();
  const namespace = namespaceOf(pod);
  type Item = { key: string; path: string; mode?: number };

  const fromMap = async (
    kind: 'configMap' | 'secret',
    ref: { name?: string; items?: Item[]; optional?: boolean },
    defaultMode: number,
  ): Promise<void> => {
    const name = ref.name ?? '';
    const data = await sources[kind](namespace, name);
    if (!data) {
      if (ref.optional) return;
      throw new ConfigError(`${kind.toLowerCase()} "${name}" not found`);
    }
    const items: Item[] = ref.items ?? Object.keys(data).map((key) => ({ key, path: key }));
    for (const item of items) {
      const content = data[item.key];
      if (content) files.set(item.path, { content, mode: item.mode ?? defaultMode });
      else if (!ref.optional) throw new ConfigError(`references non-existent key: ${item.key}`);
    }
  };

  const downward = (
    items: NonNullable<NonNullable<VolumeSpec['downwardAPI']>['items']>,
    defaultMode: number,
  ): void => {
    for (const item of items) {
      const container = specOf(pod).containers[0];
      const text = item.fieldRef
        ? podField(pod, item.fieldRef.fieldPath, facts)
        : item.resourceFieldRef && container
          ? resourceField(pod, container, item.resourceFieldRef, facts)
          : '';
      files.set(item.path, { content: Buffer.from(text), mode: item.mode ?? defaultMode });
    }
  };

  if (volume.configMap) await fromMap('configMap', volume.configMap, volume.configMap.defaultMode ?? 0o644);
  if (volume.secret) {
    const { secretName, ...rest } = volume.secret;
    await fromMap(
      'secret',
      { ...rest, ...(secretName ? { name: secretName } : {}) },
      volume.secret.defaultMode ?? 0o644,
    );
  }
  if (volume.downwardAPI) downward(volume.downwardAPI.items ?? [], volume.downwardAPI.defaultMode ?? 0o644);
  for (const source of volume.projected?.sources ?? []) {
    const mode = volume.projected?.defaultMode ?? 0o644;
    if (source.configMap) await fromMap('configMap', source.configMap, mode);
    if (source.secret) await fromMap('secret', source.secret, mode);
    if (source.downwardAPI) downward(source.downwardAPI.items ?? [], mode);
    if (source.serviceAccountToken) {
      const { path, audience, expirationSeconds } = source.serviceAccountToken;
      const token = await sources.serviceAccountToken(pod, {
        ...(audience ? { audience } : {}),
        ...(expirationSeconds ? { expirationSeconds } : {}),
      });
      files.set(path, { content: Buffer.from(token), mode });
    }
  }
  return files;
}

/**
 * Writes the files so that a reader sees all of the old or all of the new: into a folder of their own, to which the
 * link `..data` is switched; the visible names are links through it, as on any node.
 */
function writeAtomically(
  folder: string,
  files: ReadonlyMap<string, VolumeFile>,
  fsGroup: number | undefined,
): void {
  mkdirSync(folder, { recursive: true });
  for (const path of files.keys()) {
    if (path.startsWith('/') || path.split('/').includes('..')) throw new ConfigError(`invalid path ${path}`);
  }
  const current = join(folder, '..data');
  if (existsSync(current) && sameFiles(current, files)) return;
  const name = `..${new Date().toISOString().replace(/[-:TZ.]/g, '_')}${Math.floor(Math.random() * 1e9)}`;
  const fresh = join(folder, name);
  mkdirSync(fresh);
  for (const [path, file] of files) {
    const target = join(fresh, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, file.content);
    chmodSync(target, fsGroup === undefined ? file.mode : file.mode | 0o440);
    if (fsGroup !== undefined) chownSync(target, 0, fsGroup);
  }
  const old = existsSync(current) ? readlinkSync(current) : undefined;
  rmSync(join(folder, '..data_tmp'), { force: true });
  symlinkSync(name, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), current);
  const visible = new Set([...files.keys()].map((path) => path.split('/')[0] ?? ''));
  for (const entry of visible) {
    if (!existsSync(join(folder, entry))) symlinkSync(join('..data', entry), join(folder, entry));
  }
  for (const entry of readdirSync(folder)) {
    if (!entry.startsWith('..') && !visible.has(entry)) rmSync(join(folder, entry), { force: true });
  }
  if (old) rmSync(join(folder, old), { recursive: true, force: true });
}

function sameFiles(folder: string, files: ReadonlyMap<string, VolumeFile>): boolean {
  const present = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  if (present.length !== files.size) return false;
  for (const [path, file] of files) {
    const target = join(folder, path);
    if (!existsSync(target) || !readFileSync(target).equals(file.content)) return false;
  }
  return true;
}

const mountPoints = (): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');

const isMountPoint = (path: string): boolean => mountPoints().includes(path);

/** Unmounts and removes everything of a pod below /var/lib/kubelet/pods. */
export async function removePodDir(uid: string): Promise<void> {
  const dir = podDir(uid);
  for (const path of mountPoints()
    .filter((point) => point.startsWith(`${dir}/`))
    .reverse()) {
    await must('umount', ['-l', path]);
  }
  rmSync(dir, { recursive: true, force: true });
}
