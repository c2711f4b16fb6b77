import { existsSync, rmSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LpmError } from '../common/errors.js';
import { isThawed, readManifest, removeArtifacts } from './artifacts.js';
import type { Context } from './context.js';
import { isFenced } from './fence.js';
import { keepDumpLogs, keepRestoreLogs } from './kept-logs.js';
import { observePod } from './target.js';
import { folderBytes } from './volumes.js';

/**
 * Removes the artifacts of a checkpoint. Answers the bytes that this frees.
 *
 * @throws PodBusy while its source is frozen: they hold the record of why, and of who may thaw it
 */
export async function discardCheckpoint(context: Context, checkpointUid: string): Promise<number> {
  const manifest = readManifest(context.state, checkpointUid);
  if (manifest?.owner && !isThawed(context.state, checkpointUid) && (await isFenced(context, manifest))) {
    throw new LpmError(
      'PodBusy',
      `Pod ${manifest.pod.name} is frozen for checkpoint ${checkpointUid}: its artifacts are needed until it is thawed or ended.`,
    );
  }
  const artifacts = context.state.artifacts(checkpointUid);
  await keepDumpLogs(context, checkpointUid, artifacts);
  return freedBy(artifacts, () => removeArtifacts(context.state, checkpointUid));
}

/**
 * Removes the stage of a restore: claim and marks stay. What a waiting handler could still take is no longer ready first.
 */
export async function discardStage(context: Context, podUid: string): Promise<number> {
  const pod = context.state.pod(podUid);
  await keepRestoreLogs(context, podUid);
  let bytes = await remove(join(pod, 'incoming'));
  for (const { folder } of observePod(context.state, podUid)) {
    rmSync(join(folder, 'ready'), { force: true });
    bytes += await remove(join(folder, 'stage'));
  }
  return bytes;
}

const remove = (folder: string): Promise<number> =>
  freedBy(folder, () => rmSync(folder, { recursive: true, force: true }));

/** The bytes that the removal of a folder frees. */
async function freedBy(folder: string, removal: () => void | Promise<void>): Promise<number> {
  const bytes = existsSync(folder) ? await folderBytes(folder) : 0;
  await removal();
  return bytes;
}

/** Marks of pods that are gone from this node are kept for this long, in case the controller still asks for them. */
const KEEP_MS = 7 * 24 * 3600 * 1000;

/** Removes what lies here of pods that neither the runtime nor the kubelet knows any more. */
export async function removeForgottenPods(context: Context, now = Date.now()): Promise<void> {
  const root = join(context.state.root, 'pods');
  for (const uid of await readdir(root)) {
    const folder = join(root, uid);
    const { mtimeMs } = await stat(folder);
    if (now - mtimeMs < KEEP_MS || existsSync(context.host.path(`/var/lib/kubelet/pods/${uid}`))) continue;
    if ((await context.cri.sandboxes(uid)).length > 0) continue;
    rmSync(folder, { recursive: true, force: true });
    context.log.info('removed the marks of a pod that is gone', { pod_uid: uid });
  }
}

/** Removes the marks of checkpoints that are over: no request for one is on its way for so long. */
export async function removeOldThawedMarks(context: Context, now = Date.now()): Promise<void> {
  const root = context.state.artifactsRoot;
  for (const name of await readdir(root)) {
    if (!name.endsWith('.thawed')) continue;
    const { mtimeMs } = await stat(join(root, name));
    if (now - mtimeMs >= KEEP_MS) rmSync(join(root, name), { force: true });
  }
}

/** A container is known to the runtime before its mark is made; this much more is for clocks. */
const MARK_KEEP_MS = 3600 * 1000;

/** Removes the handler's marks (`restored/<container ID>`) of containers that the runtime does not know any more. */
export async function removeForgottenMarks(context: Context, now = Date.now()): Promise<void> {
  const root = join(context.state.root, 'restored');
  if (!existsSync(root)) return;
  for (const containerId of await readdir(root)) {
    const mark = join(root, containerId);
    const { mtimeMs } = await stat(mark);
    if (now - mtimeMs < MARK_KEEP_MS || (await isKnown(context, containerId))) continue;
    rmSync(mark, { force: true });
  }
}

async function isKnown(context: Context, containerId: string): Promise<boolean> {
  try {
    await context.cri.containerStatus(containerId);
    return true;
  } catch (error) {
    if (error instanceof LpmError && error.reason === 'ContainerNotFound') return false;
    throw error;
  }
}
