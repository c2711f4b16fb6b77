import { existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../common/errors.js';
import {
  Claim,
  type CheckpointHolding,
  type FrozenPod,
  type RestoreHolding,
} from '../proto/gen/lpm/v1/agent.js';
import { knownCheckpoints } from './artifacts.js';
import { readClaim } from './claim.js';
import type { Context } from './context.js';
import { hasOwnFreeze } from './freeze.js';
import { isUid } from './names.js';
import { podCgroupByIds } from './pod-view.js';
import { readRestoreRecord } from './restore-record.js';
import { observePod } from './target.js';
import { cgroupsAmong } from './thaw.js';

export interface Holdings {
  checkpoints: CheckpointHolding[];
  restores: RestoreHolding[];
  frozenPods: FrozenPod[];
}

/**
 * Everything that this node holds of checkpoints and restores, from its disk and its cgroups alone, so that an agent that was
 * just started knows as much as one that did the work.
 */
export async function holdings(
  context: Context,
  isRunning: (checkpointUid: string) => boolean,
): Promise<Holdings> {
  return {
    checkpoints: checkpointHoldings(context, isRunning),
    restores: await restoreHoldings(context),
    frozenPods: await frozenPods(context),
  };
}

function checkpointHoldings(context: Context, isRunning: (uid: string) => boolean): CheckpointHolding[] {
  return knownCheckpoints(context.state).map(({ checkpointUid, folder, complete, manifest, unfinished }) => ({
    checkpointUid,
    pod: (manifest ?? unfinished)?.pod,
    complete,
    inProgress: isRunning(checkpointUid),
    owner: (manifest ?? unfinished)?.owner,
    since: changedAt(folder),
  }));
}

export async function restoreHoldings(context: Context): Promise<RestoreHolding[]> {
  const root = join(context.state.root, 'pods');
  const found: RestoreHolding[] = [];
  for (const podUid of await readdir(root)) {
    if (!isUid(podUid)) continue;
    const folder = join(root, podUid);
    const containers = observePod(context.state, podUid);
    const claim = claimOf(context, folder);
    found.push({
      podUid,
      restoreUid: restoreUidOf(context, folder),
      claim,
      executed: claim === Claim.CLAIM_COMMITTED && containers.some(({ attempted }) => attempted),
      staged: existsSync(join(folder, 'incoming')) || containers.some(({ staged }) => staged),
      since: changedAt(folder),
    });
  }
  return found;
}

/** The migration that the pod waits for, or that has revoked it before it was heard of. */
function restoreUidOf(context: Context, podDir: string): string {
  try {
    return readRestoreRecord(podDir)?.restoreUid ?? readClaim(podDir).by;
  } catch (error) {
    context.log.error('the record of a restore cannot be read', { folder: podDir, error: messageOf(error) });
    return '';
  }
}

/** A claim that cannot be read is told as the one with which nothing is allowed. */
function claimOf(context: Context, podDir: string): Claim {
  try {
    return readClaim(podDir).claim;
  } catch (error) {
    context.log.error('a claim cannot be read', { folder: podDir, error: messageOf(error) });
    return Claim.CLAIM_COMMITTED;
  }
}

/** Pods in which something is frozen by its own switch, whoever did that. */
export async function frozenPods(context: Context): Promise<FrozenPod[]> {
  const [sandboxes, containers] = await Promise.all([context.cri.readySandboxes(), context.cri.containers()]);
  return sandboxes.flatMap(({ id, metadata }) => {
    const { name = '', namespace = '', uid = '' } = metadata ?? {};
    const mine = containers.filter(({ podSandboxId }) => podSandboxId === id);
    const ids = [id, ...mine.map((container) => container.id)];
    const cgroup = isUid(uid) && podCgroupByIds(context.host, context.runtimeRoots, uid, ids);
    if (!cgroup) return [];
    const frozen = cgroupsAmong(mine, cgroup).filter((each) => hasOwnFreeze(each.cgroup));
    const podCgroupFrozen = hasOwnFreeze(cgroup);
    if (frozen.length === 0 && !podCgroupFrozen) return [];
    return [
      { pod: { name, namespace, uid }, containerNames: frozen.map((each) => each.name), podCgroupFrozen },
    ];
  });
}

function changedAt(path: string): Date | undefined {
  try {
    return statSync(path).mtime;
  } catch {
    return undefined;
  }
}
