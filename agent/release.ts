import { existsSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { LpmError } from '../common/errors.js';
import { Claim } from '../proto/gen/lpm/v1/agent.js';
import { ContainerState } from '../proto/gen/runtime/v1/cri.js';
import { processesBelow, type FreezerCgroup } from './cgroup.js';
import { readClaim } from './claim.js';
import type { Context } from './context.js';
import { thawAll } from './freeze.js';
import type { Host } from './host.js';
import { isUid } from './names.js';
import { observePod, type HeldContainer } from './target.js';

const CGROUPS = '/sys/fs/cgroup/';

/** The cgroup in which a restored container is held; undefined when it is gone, or is not that container's. */
function cgroupOf(host: Host, { containerId, cgroup }: HeldContainer): FreezerCgroup | undefined {
  if (containerId === '' || !cgroup.startsWith(CGROUPS) || normalize(cgroup) !== cgroup) return undefined;
  if (!cgroup.includes(containerId)) return undefined;
  const dir = host.path(cgroup);
  if (existsSync(join(dir, 'freezer.state'))) return { version: 1, dir };
  return existsSync(join(dir, 'cgroup.freeze')) ? { version: 2, dir } : undefined;
}

export type Standing = 'running' | 'starting' | 'over';

/**
 * How the runtime sees what is held. Running: it has had its answers to `create` and `start`, so that it takes the container
 * for a good one, whatever becomes of the programs that restored it. Before that it would take it away if one of them died.
 */
export async function standingOf(context: Context, held: readonly HeldContainer[]): Promise<Standing> {
  const standings = await Promise.all(
    held.map(async (each): Promise<Standing> => {
      const cgroup = cgroupOf(context.host, each);
      if (!cgroup || processesBelow(cgroup.dir).length === 0) return 'over';
      try {
        const { status } = await context.cri.containerStatus(each.containerId);
        if (status?.state === ContainerState.CONTAINER_EXITED) return 'over';
        return status?.state === ContainerState.CONTAINER_RUNNING ? 'running' : 'starting';
      } catch (error) {
        // CRI-O does not know it before `create` is answered; a runtime that is being restarted will tell.
        if (error instanceof LpmError) return 'starting';
        throw error;
      }
    }),
  );
  if (standings.includes('over')) return 'over';
  return standings.every((each) => each === 'running') ? 'running' : 'starting';
}

/**
 * Lets the restored processes of a pod go, all together, when the claim is the target's; once, however often it is called.
 * What is gone by now was ended by somebody after the commit.
 */
export function letGo(context: Context, podUid: string): void {
  if (readClaim(context.state.pod(podUid)).claim !== Claim.CLAIM_COMMITTED) return;
  const held = observePod(context.state, podUid).filter((each) => each.held && !each.restoredAt);
  if (held.length === 0) return;
  thawAll(held.flatMap((each) => cgroupOf(context.host, each.held!) ?? []));
  // The wall clock counts milliseconds; the file nanoseconds, as date(1) writes them.
  const now = `${BigInt(Date.now()) * 1_000_000n}\n`;
  for (const { folder } of held) writeFileSync(join(folder, 'restored'), now, { mode: 0o600 });
}

/** Lets go what an agent that died has claimed and left standing still. */
export async function letGoCommitted(context: Context): Promise<void> {
  for (const podUid of await readdir(join(context.state.root, 'pods'))) {
    if (!isUid(podUid)) continue;
    try {
      letGo(context, podUid);
    } catch (error) {
      context.log.error('what was restored cannot be let go', { pod_uid: podUid, error });
    }
  }
}
