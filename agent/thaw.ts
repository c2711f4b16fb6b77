import { join } from 'node:path';
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
  const containers = await context.cri.containers(podUid);
  return childCgroups(pod.dir).flatMap((child) => {
    // containerd: <id>, systemd: cri-containerd-<id>.scope, crio-<id>[.scope]; crio-conmon-<id> holds the monitor.
    const container = containers.find(({ id }) => child.includes(id));
    if (!container || child.includes('conmon')) return [];
    const cgroup = { version: pod.version, dir: join(pod.dir, child) };
    return [{ name: nameOf(container), containerId: container.id, cgroup }];
  });
}

/**
 * Lets a frozen source run on: the containers and the fence around the pod. What is not frozen is left alone.
 *
 * @returns names of the containers that were frozen
 */
export async function thaw(context: Context, pod: CheckedPod): Promise<{ thawed: string[]; thawedAt: Date }> {
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
