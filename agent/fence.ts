import { LpmError } from '../common/errors.js';
import { readManifest, type CheckpointManifest } from './artifacts.js';
import type { Context } from './context.js';
import { isFrozen } from './freeze.js';
import { findPodCgroup, podCgroupByIds } from './pod-view.js';
import { bootId } from './process.js';

/** The pod's cgroup is frozen; undefined when the pod has no process of which the runtime knows. */
async function fenceOf(
  { cri, host, runtimeRoots }: Context,
  { pod, result }: CheckpointManifest,
): Promise<boolean | undefined> {
  const ids = result.containers.map(({ containerId }) => containerId);
  const known = podCgroupByIds(host, runtimeRoots, pod.uid, ids);
  if (known && isFrozen(known)) return true;
  const cgroup = await findPodCgroup(host, cri, runtimeRoots, pod.uid);
  return cgroup && isFrozen(cgroup);
}

/** Processes of the pod stand still behind the fence. */
export async function isFenced(context: Context, manifest: CheckpointManifest): Promise<boolean> {
  return (await fenceOf(context, manifest)) === true;
}

/**
 * A migration's checkpoint is worth something only as long as its pod is fenced: once anything may have run there since (the
 * node was rebooted, somebody thawed it), the checkpoint is the past, and restoring it would make a second copy of the pod.
 * A pod without any process has nothing that could have run on. Of a boot before this one nothing is used at all: the data
 * was not synced, and the kubelet starts the pod anew as soon as it comes to it.
 *
 * @throws SourceChanged
 */
export async function checkFenced(context: Context, manifest: CheckpointManifest): Promise<void> {
  if (!manifest.owner) return;
  const sameBoot = manifest.bootId === undefined || manifest.bootId === bootId();
  if (sameBoot && (await fenceOf(context, manifest)) !== false) return;
  throw new LpmError(
    'SourceChanged',
    `Pod ${manifest.pod.name} is not frozen any more on node ${context.nodeName}: its checkpoint is out of date.`,
    { hint: 'The node may have been rebooted, or somebody thawed the pod. Migrate again.' },
  );
}

/**
 * A complete checkpoint of this node that may be restored.
 *
 * @throws CheckpointNotFound, SourceChanged
 */
export async function usableCheckpoint(context: Context, checkpointUid: string): Promise<CheckpointManifest> {
  const manifest = readManifest(context.state, checkpointUid);
  if (!manifest) {
    throw new LpmError(
      'CheckpointNotFound',
      `Checkpoint ${checkpointUid} is not on node ${context.nodeName}.`,
    );
  }
  await checkFenced(context, manifest);
  return manifest;
}
