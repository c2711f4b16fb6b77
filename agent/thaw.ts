import { join } from 'node:path';
import { LpmError } from '../common/errors.js';
import { faultPoint } from '../common/fault-point.js';
import { isThawed, knownCheckpoints } from './artifacts.js';
import type { Container } from '../proto/gen/runtime/v1/cri.js';
import { childCgroups, type FreezerCgroup } from './cgroup.js';
import { doomedProcesses } from './checkpoint.js';
import type { Context } from './context.js';
import { hasOwnFreeze, thawAll } from './freeze.js';
import type { CheckedPod } from './names.js';
import { findPodCgroup, nameOf } from './pod-view.js';

/** A container's cgroup, found below its pod's by its ID. */
export interface NamedCgroup {
  name: string;
  containerId: string;
  cgroup: FreezerCgroup;
}

/** The cgroups of a pod's containers that exist now; the sandbox's own is not among them. */
export async function containerCgroups(
  context: Context,
  podUid: string,
  pod: FreezerCgroup,
): Promise<NamedCgroup[]> {
  return cgroupsAmong(await context.cri.containers(podUid), pod);
}

/** Those of the runtime's containers that have a cgroup below the pod's now. */
export function cgroupsAmong(containers: readonly Container[], pod: FreezerCgroup): NamedCgroup[] {
  return childCgroups(pod.dir).flatMap((child) => {
    // containerd: <id>, systemd: cri-containerd-<id>.scope, crio-<id>[.scope]; crio-conmon-<id> holds the monitor.
    const container = containers.find(({ id }) => child.includes(id));
    if (!container || child.includes('conmon')) return [];
    const cgroup = { version: pod.version, dir: join(pod.dir, child) };
    return [{ name: nameOf(container), containerId: container.id, cgroup }];
  });
}

/** A container's cgroup carries its ID: 64 hex digits with containerd and CRI-O. */
const CONTAINER_ID = /[0-9a-f]{64}/;

/**
 * All cgroups below the pod's but its sandboxes' and the monitors', also of containers that the runtime does not tell of: CRI-O lists
 * none before its `create` has returned, and that takes as long as the fence is up. Those have no name.
 */
export async function everyContainerCgroup(
  context: Pick<Context, 'cri'>,
  podUid: string,
  pod: FreezerCgroup,
): Promise<NamedCgroup[]> {
  const [containers, sandboxes] = await Promise.all([
    context.cri.containers(podUid),
    context.cri.sandboxes(podUid),
  ]);
  const known = cgroupsAmong(containers, pod);
  const others = childCgroups(pod.dir).flatMap((child) => {
    const containerId = CONTAINER_ID.exec(child)?.[0];
    if (!containerId || child.includes('conmon')) return [];
    if ([...sandboxes, ...containers].some(({ id }) => id === containerId)) return [];
    return [{ name: '', containerId, cgroup: { version: pod.version, dir: join(pod.dir, child) } }];
  });
  return [...known, ...others];
}

/**
 * Lets a frozen source run on: the containers and the fence around the pod. What is not frozen is left alone.
 *
 * The caller has made the mark (markThawed), so that no late request for this checkpoint freezes the pod again behind
 * everybody's back. And only what this checkpoint has frozen is thawed: a late Thaw must not reach into the next migration of the same pod, whose
 * restored processes may be running already.
 *
 * @returns names of the containers that were frozen
 * @throws PodBusy when another checkpoint holds the pod
 */
export async function thaw(
  context: Context,
  pod: CheckedPod,
  checkpointUid: string,
): Promise<{ thawed: string[]; thawedAt: Date }> {
  FAULT: await faultPoint('agent.thaw.marked');
  const holder = knownCheckpoints(context.state).find(
    (known) =>
      known.checkpointUid !== checkpointUid &&
      (known.manifest ?? known.unfinished)?.pod.uid === pod.uid &&
      (known.manifest ?? known.unfinished)?.owner !== undefined &&
      !isThawed(context.state, known.checkpointUid),
  );
  if (holder) {
    throw new LpmError(
      'PodBusy',
      `Pod ${pod.name} is frozen for checkpoint ${holder.checkpointUid}, not for ${checkpointUid}.`,
    );
  }
  const podCgroup = await findPodCgroup(context.host, context.cri, context.runtimeRoots, pod.uid);
  if (!podCgroup) return { thawed: [], thawedAt: new Date() };
  const containers = await containerCgroups(context, pod.uid, podCgroup);
  const frozen = containers.filter(({ cgroup }) => hasOwnFreeze(cgroup));
  const fences = hasOwnFreeze(podCgroup) ? [podCgroup] : [];
  const doomed = doomedProcesses([...frozen.map(({ cgroup }) => cgroup), ...fences]);
  if (doomed > 0) {
    // Only the controller decides; what it will see is a container that restarts.
    context.log.warn('thawing a source that somebody has sent a SIGKILL', {
      pod_uid: pod.uid,
      processes: doomed,
    });
  }
  thawAll([...frozen.map(({ cgroup }) => cgroup), ...fences]);
  const thawedAt = new Date();
  const thawed = frozen.map(({ name }) => name);
  if (thawed.length > 0) context.log.info('thawed', { pod_uid: pod.uid, containers: thawed });
  return { thawed, thawedAt };
}
