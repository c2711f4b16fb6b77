import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { LpmError } from '../common/errors.js';
import { faultPoint } from '../common/fault-point.js';
import { Claim } from '../proto/gen/lpm/v1/agent.js';
import { freezerOf, processesBelow, type FreezerCgroup } from './cgroup.js';
import { claimRevoked, type ClaimState } from './claim.js';
import type { Context } from './context.js';
import { removeCriuRoot } from './criu-root.js';
import { findPodCgroup } from './pod-view.js';
import { everyContainerCgroup } from './thaw.js';
import { thawAll } from './freeze.js';
import { wayOut } from './way-out.js';
import { descendants, isAlive, killNow } from './process.js';
import { observePod, type WaitingHandler } from './target.js';

/** The handler looks at the claim every 20 ms and ends by itself then; a restore that is under way is not waited for. */
const PATIENCE_MS = 150;
/** Between two rounds of killing: what the handler runs to tell the failure (date, sed) would be hit by the next one. */
const KILL_AGAIN_MS = 1000;
const KILL_LIMIT_MS = 10_000;

/**
 * Claims for the source's side, and sees to it that nothing half restored is left. When it answers CLAIM_REVOKED, no process
 * of this pod that comes from a checkpoint exists here, and none will.
 *
 * @throws TimedOut when something half restored cannot be ended (it cannot execute all the same)
 */
export async function revoke(context: Context, podUid: string, restoreUid: string): Promise<ClaimState> {
  const podDir = context.state.pod(podUid);
  const state = claimRevoked(podDir, restoreUid);
  FAULT: await faultPoint('agent.revoke.claimed');
  if (state.claim !== Claim.CLAIM_REVOKED) return state;
  const end = performance.now() + KILL_LIMIT_MS;
  let killAt = performance.now() + PATIENCE_MS;
  const handlers = (): WaitingHandler[] =>
    observePod(context.state, podUid)
      .map(({ handler }) => handler)
      .filter((handler): handler is WaitingHandler => handler?.alive === true);
  for (let left = handlers(); left.length > 0; left = handlers()) {
    if (performance.now() > end) {
      throw new LpmError('TimedOut', `A half-restored process of pod ${podUid} does not end.`, {
        hint: 'It will never execute, but look at the node.',
      });
    }
    if (performance.now() > killAt) {
      left.forEach((handler) => endRestore(context, handler));
      killAt = performance.now() + KILL_AGAIN_MS;
    }
    await delay(10);
  }
  await endLeftovers(context, podUid, end);
  for (const { attempted, handler } of observePod(context.state, podUid)) {
    if (attempted && handler) await removeCriuRoot(context, handler.containerId);
  }
  return state;
}

/**
 * What is held, and what a handler that the runtime has killed has left without a parent. Whatever is in the cgroup of a
 * container that waited for its state comes from the checkpoint, as nothing else was ever started there.
 */
async function endLeftovers(context: Context, podUid: string, end: number): Promise<void> {
  const observed = observePod(context.state, podUid);
  if (observed.length === 0) return;
  const names = new Set(observed.map(({ name }) => name));
  // CRI-O tells no name of a container that is still being created.
  const ids = new Set(observed.flatMap(({ handler, held }) => [handler?.containerId, held?.containerId]));
  const podCgroup = await findPodCgroup(context.host, context.cri, context.runtimeRoots, podUid);
  if (!podCgroup) return;
  const out = wayOut(context.host, podCgroup, podUid);
  try {
    for (;;) {
      const cgroups = (await everyContainerCgroup(context, podUid, podCgroup)).filter(
        ({ name, containerId }) => names.has(name) || ids.has(containerId),
      );
      const left = cgroups.flatMap(({ cgroup }) => processesBelow(cgroup.dir)).filter((pid) => isAlive(pid));
      if (left.length === 0) {
        // An empty, frozen cgroup would keep the runtime from removing it.
        thawAll(cgroups.map(({ cgroup }) => cgroup));
        return;
      }
      // All of them first: what is let out dies at once, and a parent must not see it die and live.
      left.forEach(killNow);
      left.forEach(out.letOut);
      if (performance.now() > end) {
        throw new LpmError('TimedOut', `Half-restored processes of pod ${podUid} do not end.`, {
          hint: 'They will never execute, but look at the node.',
        });
      }
      await delay(10);
    }
  } finally {
    out.close();
  }
}

/**
 * Kills the real runtime, CRIU and what they have restored so far, but not the handler: it tells the failure. CRIU itself
 * stands in the container's cgroup, and so does all that it has made. What is restored goes first: CRIU holds it stopped
 * (ptrace) before it resumes it, and would let it go by dying (ptrace(2): a tracer that dies detaches).
 */
function endRestore(context: Context, handler: WaitingHandler): void {
  const below = descendants(handler.pid);
  const targets = new Set(below);
  for (const pid of below) {
    const cgroup = cgroupOf(context, pid);
    // The cgroup of the container itself, never one above it.
    if (cgroup && cgroup.dir.includes(handler.containerId))
      processesBelow(cgroup.dir).forEach((each) => targets.add(each));
  }
  const living = [...targets].filter((pid) => isAlive(pid));
  const restored = living.filter((pid) => pidNamespace(pid) !== pidNamespace(handler.pid));
  for (const pid of [...restored, ...living]) killNow(pid);
}

function pidNamespace(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return '';
  }
}

function cgroupOf(context: Context, pid: number): FreezerCgroup | undefined {
  try {
    return freezerOf(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), context.host.path('/sys/fs/cgroup'));
  } catch {
    return undefined;
  }
}
