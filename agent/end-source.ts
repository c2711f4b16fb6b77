import { setTimeout as delay } from 'node:timers/promises';
import { LpmError } from '../common/errors.js';
import { faultPoint } from '../common/fault-point.js';
import { PodSandboxState } from '../proto/gen/runtime/v1/cri.js';
import { processesBelow, setFreezer, waitFrozen, type FreezerCgroup } from './cgroup.js';
import type { Context } from './context.js';
import { thawAll } from './freeze.js';
import type { CheckedPod } from './names.js';
import { findPodCgroup, sandboxProcess } from './pod-view.js';
import { isAlive, killNow, pendingSignals } from './process.js';
import { everyContainerCgroup, type NamedCgroup } from './thaw.js';
import { wayOut } from './way-out.js';

/** The kubelet comes to stopping the sandbox within seconds of the pod's deletion; a busy one takes longer. */
const LIMIT_MS = 120_000;
/** Killed processes that were thawed end at once; one that hangs in the kernel (state D) does not. */
const DYING_LIMIT_MS = 30_000;
const POLL_MS = 25;

/**
 * Ends a source for good. Killing and thawing alone is not enough: the kubelet may still have a restart in its hands and
 * would start the container from its image before it acts on the deletion. So the pod's cgroup stays the fence: whatever
 * appears in it is born frozen and killed, until the kubelet has come to stopping the sandbox.
 *
 * @param isCanceled true when the caller has gone: the fence stays, and a next call goes on
 * @returns how many processes were ended here
 * @throws TimedOut (the fence stays, nothing runs)
 */
export async function endSource(
  context: Context,
  pod: CheckedPod,
  isCanceled: () => boolean,
): Promise<number> {
  const log = context.log.with({ pod_uid: pod.uid });
  const end = performance.now() + LIMIT_MS;
  let killed = 0;
  for (;;) {
    const cgroup = await findPodCgroup(context.host, context.cri, context.runtimeRoots, pod.uid);
    if (!cgroup) return killed;
    // Also when it was never checkpointed: from here on nothing in this pod executes.
    fence(cgroup);
    FAULT: await faultPoint('agent.endSource.fenced');
    killed += await endContainers(context, pod, cgroup);
    if (await sandboxIsStopping(context, pod)) {
      thawAll([cgroup]);
      FAULT: await faultPoint('agent.endSource.stopping');
      killed += await sweepWhileStopping(context, pod, cgroup);
      log.info('ended the source', { killed });
      return killed;
    }
    if (isCanceled()) throw new LpmError('Canceled', `Ending pod ${pod.name} was canceled; it stays frozen.`);
    if (performance.now() > end) {
      throw new LpmError(
        'TimedOut',
        `The kubelet did not stop pod ${pod.name} within ${LIMIT_MS / 1000} s; it stays frozen.`,
        {
          hint: 'The pod must have been deleted first.',
        },
      );
    }
    await delay(POLL_MS);
  }
}

function fence(cgroup: FreezerCgroup): void {
  try {
    setFreezer(cgroup, true);
  } catch {
    // Removed with the pod: nothing runs in it.
  }
}

/** Kills every process of the pod's containers (not the sandbox's own) while the fence stays up. */
async function endContainers(context: Context, pod: CheckedPod, podCgroup: FreezerCgroup): Promise<number> {
  const containers = await everyContainerCgroup(context, pod.uid, podCgroup);
  const doomed = containers.flatMap(({ cgroup }) => processesBelow(cgroup.dir));
  if (doomed.length === 0) {
    // An empty, frozen container cgroup would keep the runtime from removing it.
    thawAll(containers.map(({ cgroup }) => cgroup));
    return 0;
  }
  // On cgroup v1 a new process may stand between fork and freezing; killed it is either way, before it is let out.
  await waitFrozen(podCgroup, 1000).catch(() => {});
  const killed = new Set(doomed.filter(killNow));
  FAULT: await faultPoint('agent.endSource.killed');
  const end = performance.now() + DYING_LIMIT_MS;
  const out = wayOut(context.host, podCgroup, pod.uid);
  try {
    killed.forEach(out.letOut);
    for (;;) {
      const left = livingIn(containers);
      const dying = [...killed].filter((pid) => isAlive(pid));
      if (left.length === 0 && dying.length === 0) return killed.size;
      for (const pid of left) {
        if (killNow(pid)) killed.add(pid);
        out.letOut(pid);
      }
      if (performance.now() > end) {
        throw new LpmError(
          'TimedOut',
          `Processes of pod ${pod.name} do not end: ${[...left, ...dying].slice(0, 5).join(', ')}.`,
          {
            hint: 'They hang in the kernel; look at /proc/PID/stack.',
          },
        );
      }
      await delay(1);
    }
  } finally {
    out.close();
  }
}

const livingIn = (containers: readonly NamedCgroup[]): number[] =>
  containers.flatMap(({ cgroup }) => processesBelow(cgroup.dir)).filter((pid) => isAlive(pid));

/** The kubelet (through the runtime) has signalled the sandbox's process, or the sandbox is over. */
async function sandboxIsStopping({ cri, host, runtimeRoots }: Context, pod: CheckedPod): Promise<boolean> {
  const [sandbox] = await cri.sandboxes(pod.uid);
  if (!sandbox || sandbox.state === PodSandboxState.SANDBOX_NOTREADY) return true;
  const pid = await sandboxProcess(host, cri, runtimeRoots, sandbox.id);
  if (pid === 0) return false;
  if (pid === undefined || !isAlive(pid)) return true;
  const pending = pendingSignals(pid);
  return pending.kill || pending.term;
}

/** The fence is down: until the sandbox is gone, nothing of a container lives for longer than a look takes. */
async function sweepWhileStopping(
  context: Context,
  pod: CheckedPod,
  podCgroup: FreezerCgroup,
): Promise<number> {
  const killed = new Set<number>();
  const end = performance.now() + DYING_LIMIT_MS;
  while (performance.now() < end) {
    const containers = await everyContainerCgroup(context, pod.uid, podCgroup);
    thawAll(containers.map(({ cgroup }) => cgroup));
    const living = livingIn(containers);
    for (const pid of living) if (killNow(pid)) killed.add(pid);
    const [sandbox] = await context.cri.sandboxes(pod.uid);
    const over = !sandbox || sandbox.state === PodSandboxState.SANDBOX_NOTREADY;
    if (over && living.length === 0) break;
    await delay(POLL_MS);
  }
  return killed.size;
}
