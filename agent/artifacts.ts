import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LpmError } from '../common/errors.js';
import { faultPoint, faultPointSync } from '../common/fault-point.js';
import { CheckpointResult } from '../proto/gen/lpm/v1/agent.js';
import { isLabel, isUid, type CheckedPod } from './names.js';
import { createOnce, writeDurably, type StateDir, syncPath } from './state.js';

/** One file of a checkpoint. */
export interface ArtifactFile {
  container: string;
  /** Relative to the container's folder. */
  path: string;
  size: number;
}

/** The migration that a frozen source waits for, and where its outcome can be learned (proto CheckpointOwner). */
export interface Owner {
  restoreUid: string;
  migrationName: string;
  targetPodUid: string;
  targetNodeName: string;
}

/** checkpoint.json: written last, so that its being there says that the checkpoint is complete. */
export interface CheckpointManifest {
  version: 1;
  checkpointUid: string;
  pod: CheckedPod;
  owner?: Owner;
  nodeName: string;
  /** The node's boot in which it was made (/proc/sys/kernel/random/boot_id). */
  bootId?: string;
  /** It is no result of its own but waits to be packed into archives; its data was not synced. */
  forArchive?: true;
  result: CheckpointResult;
  files: ArtifactFile[];
}

/** operation.json of a checkpoint in the making: what to thaw when the agent dies in between. */
export interface UnfinishedCheckpoint {
  pod: CheckedPod;
  owner?: Owner;
  containerIds: string[];
}

/**
 * The files that a container's folder may hold; what another agent sends is checked against it before it becomes a path.
 * The first line is the layout of podman and CRI-O, which checkpointctl reads.
 */
const KNOWN = new Set([
  ...['config.dump', 'spec.dump', 'rootfs-diff.tar', 'deleted.files', 'stats-dump', 'dump.log'],
  ...['dev-shm.tar', 'container.log'],
]);

export function isArtifactPath(path: string): boolean {
  if (KNOWN.has(path)) return true;
  const [folder, name = '', ...more] = path.split('/');
  if (more.length > 0) return false;
  if (folder === 'checkpoint') return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$/.test(name);
  return folder === 'volumes' && name.endsWith('.tar') && isLabel(name.slice(0, -'.tar'.length));
}

/** All artifact files of a container's folder, in a steady order. */
export async function listFiles(folder: string, container: string): Promise<ArtifactFile[]> {
  const files: ArtifactFile[] = [];
  const visit = async (relative: string): Promise<void> => {
    for (const entry of await readdir(join(folder, relative), { withFileTypes: true })) {
      const path = relative ? `${relative}/${entry.name}` : entry.name;
      if (entry.isDirectory() && relative === '') await visit(path);
      else if (entry.isFile() && isArtifactPath(path)) {
        files.push({ container, path, size: (await lstat(join(folder, path))).size });
      }
    }
  };
  await visit('');
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function readManifest(state: StateDir, checkpointUid: string): CheckpointManifest | undefined {
  return readManifestIn(state.artifacts(checkpointUid));
}

function readManifestIn(folder: string): CheckpointManifest | undefined {
  try {
    const json = JSON.parse(readFileSync(join(folder, 'checkpoint.json'), 'utf8')) as CheckpointManifest;
    return { ...json, result: CheckpointResult.fromJSON(json.result) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new LpmError('ArtifactInvalid', `${folder}/checkpoint.json cannot be read.`, { cause: error });
  }
}

/** Removes a complete checkpoint, at once for whoever looks: the rest of it is removed by the next agent if this one dies. */
export async function removeArtifacts(state: StateDir, checkpointUid: string): Promise<void> {
  const discarded = state.discardedArtifacts(checkpointUid);
  await rm(discarded, { recursive: true, force: true });
  try {
    await rename(state.artifacts(checkpointUid), discarded);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  FAULT: await faultPoint('agent.discard.removing');
  await rm(discarded, { recursive: true, force: true });
}

/** Removes what an agent that died has left of checkpoints that it was removing. */
export async function removeHalfRemoved(state: StateDir): Promise<void> {
  for (const name of await readdir(state.artifactsRoot)) {
    if (name.endsWith('.discarded')) {
      await rm(join(state.artifactsRoot, name), { recursive: true, force: true });
    }
  }
}

/** Makes an empty folder for a checkpoint; what an earlier, unfinished try left is removed. */
export function beginArtifacts(
  state: StateDir,
  checkpointUid: string,
  unfinished: UnfinishedCheckpoint,
): string {
  const partial = state.partialArtifacts(checkpointUid);
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true, mode: 0o700 });
  writeDurably(join(partial, 'operation.json'), JSON.stringify(unfinished));
  syncPath(state.artifactsRoot);
  return partial;
}

/** Makes a checkpoint complete: from the rename on it counts. */
export function completeArtifacts(state: StateDir, manifest: CheckpointManifest): void {
  const partial = state.partialArtifacts(manifest.checkpointUid);
  const json = { ...manifest, result: CheckpointResult.toJSON(manifest.result) };
  writeDurably(join(partial, 'checkpoint.json'), JSON.stringify(json));
  FAULT: faultPointSync('agent.checkpoint.completing');
  renameSync(partial, state.artifacts(manifest.checkpointUid));
  syncPath(state.artifactsRoot);
}

/** Brings everything below a folder's file system to the disk (syncfs). */
export function syncFileSystem(folder: string): Promise<void> {
  return new Promise((resolve) => execFile('sync', ['--file-system', folder], () => resolve()));
}

/**
 * Notes for ever that a checkpoint is over and its source may run: a request for it that arrives later freezes nothing.
 * Written and synced before anything is thawed.
 */
export function markThawed(state: StateDir, checkpointUid: string): void {
  createOnce(state.thawedMark(checkpointUid), '');
}

export const isThawed = (state: StateDir, checkpointUid: string): boolean =>
  existsSync(state.thawedMark(checkpointUid));

export interface KnownCheckpoint {
  checkpointUid: string;
  /** Its folder, whole or partial. */
  folder: string;
  complete: boolean;
  manifest?: CheckpointManifest;
  unfinished?: UnfinishedCheckpoint;
}

/** All checkpoints that lie here. */
export function knownCheckpoints(state: StateDir): KnownCheckpoint[] {
  const found: KnownCheckpoint[] = [];
  for (const name of readdirSync(state.artifactsRoot)) {
    const checkpointUid = name.replace(/\.partial$/, '');
    if (!isUid(checkpointUid)) continue;
    const folder = join(state.artifactsRoot, name);
    try {
      const manifest = name === checkpointUid ? readManifestIn(folder) : undefined;
      if (manifest) {
        found.push({ checkpointUid, folder, complete: true, manifest });
        continue;
      }
      const text = readFileSync(join(folder, 'operation.json'), 'utf8');
      const unfinished = JSON.parse(text) as UnfinishedCheckpoint;
      found.push({ checkpointUid, folder, complete: false, unfinished });
    } catch {
      found.push({ checkpointUid, folder, complete: false });
    }
  }
  return found;
}
