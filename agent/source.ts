import type { CheckpointState, SourceContainerState, SourceState } from '../proto/gen/lpm/v1/agent.js';
import { ContainerState } from '../proto/gen/runtime/v1/cri.js';
import { knownCheckpoints } from './artifacts.js';
import { processesBelow } from './cgroup.js';
import type { Context } from './context.js';
import { hasOwnFreeze, isFrozen } from './freeze.js';
import { findPodCgroup, nameOf } from './pod-view.js';
import { isDoomed } from './process.js';
import { containerCgroups } from './thaw.js';

/** SourceState of GetPodState. Of a restarted container, the newest one. */
export async function sourceState(
  context: Context,
  podUid: string,
  isRunning: (checkpointUid: string) => boolean,
): Promise<SourceState> {
  const podCgroup = await findPodCgroup(context.host, context.cri, context.runtimeRoots, podUid);
  const cgroups = podCgroup ? await containerCgroups(context, podUid, podCgroup) : [];
  const containers = new Map<string, SourceContainerState>();
  for (const container of await context.cri.containers(podUid)) {
    const name = nameOf(container);
    if (containers.has(name)) continue;
    const own = cgroups.find(({ containerId }) => containerId === container.id);
    containers.set(name, {
      name,
      containerId: container.id,
      running: container.state === ContainerState.CONTAINER_RUNNING,
      frozen: own !== undefined && isFrozen(own.cgroup),
      attempt: container.metadata?.attempt ?? 0,
      doomed: own !== undefined && processesBelow(own.cgroup.dir).some(isDoomed),
    });
  }
  const checkpoints = knownCheckpoints(context.state)
    .filter(({ manifest, unfinished }) => (manifest ?? unfinished)?.pod.uid === podUid)
    .map(({ checkpointUid, complete, manifest }): CheckpointState => ({
      checkpointUid,
      complete,
      inProgress: isRunning(checkpointUid),
      frozenAt: manifest?.result.frozenAt,
      result: manifest?.result,
    }));
  return {
    containers: [...containers.values()],
    podCgroupFrozen: podCgroup !== undefined && hasOwnFreeze(podCgroup),
    checkpoints,
  };
}
