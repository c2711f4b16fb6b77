/** Binds what the agents have made to the checkpoint objects. Each does the same when it is called again. */
import type { PodCheckpoint, ContainerCheckpoint } from '../../common/api/schema.js';
import { LpmError } from '../../common/errors.js';
import type { CheckpointResult } from '../../proto/gen/lpm/v1/agent.js';
import { nodeInfo } from '../migration/collect-facts.js';
import type { Parts } from '../parts.js';
import { findCondition } from '../status/conditions.js';
import { CONDITION } from '../status/reasons.js';
import type { Checkpoint, CheckpointStatus } from './kinds.js';
import { madeOn } from './made-on.js';
import { archiveOf, makeContainerContent, makePodContent } from './make-contents.js';
import { boundStatus, repositoryStatus } from './status.js';
import type { PodTemplate } from './template.js';
import { wayOf, type Turn } from './turn.js';
import { updateCheckpoint } from './update-status.js';

export async function bindMembers(
  parts: Parts,
  checkpoint: Checkpoint,
  turn: Turn,
  result: CheckpointResult,
): Promise<void> {
  const frozen =
    result.frozenFor && Number(result.frozenFor.seconds) * 1000 + Math.round(result.frozenFor.nanos / 1e6);
  const way = wayOf(checkpoint);
  // It comes from another node, if not from another cluster.
  const info = way === 'Import' ? undefined : (await nodeInfo(parts, checkpoint.status!.nodeName!)).value;
  for (const member of turn.members) {
    const artifact = result.containers.find(
      ({ containerName }) => containerName === member.spec.containerName,
    );
    if (!artifact) {
      throw new LpmError(
        'Internal',
        `The agent on node ${checkpoint.status?.nodeName} did not say where the archive of container ${member.spec.containerName} lies.`,
      );
    }
    const content = await makeContainerContent(parts.client, member, artifact, {
      checkpoint,
      archiveUid: turn.uid,
      via: way,
      podTemplate: checkpoint.status?.podTemplate as PodTemplate | undefined,
      frozenAt: result.frozenAt,
      madeOn: info && madeOn(info),
    });
    const archive = archiveOf(artifact);
    const name = content.metadata.name;
    await updateCheckpoint(parts.client, member, (status, object) => ({
      ...repositoryStatus(
        boundStatus(status, object, { name, sizeBytes: Number(archive.bytes) }, COMPLETE, parts.now()),
        object,
        [archive],
        parts.now(),
      ),
      ...(frozen === undefined ? {} : { frozenMilliseconds: frozen }),
    }));
  }
}

export async function bindPod(
  parts: Parts,
  podCheckpoint: PodCheckpoint,
  children: ContainerCheckpoint[],
): Promise<void> {
  const content = await makePodContent(parts.client, podCheckpoint, children);
  const { name } = content.metadata;
  await updateCheckpoint(parts.client, podCheckpoint, (status, object) => ({
    ...withChildren(
      boundStatus(status, object, { name, sizeBytes: content.spec.sizeBytes ?? 0 }, COMPLETE, parts.now()),
      children,
    ),
    ...frozenTogether(podCheckpoint, children),
  }));
}

const COMPLETE = 'The checkpoint is complete.';

/** Of the children's conditions the one that says the worst. */
function withChildren(status: CheckpointStatus, children: ContainerCheckpoint[]): CheckpointStatus {
  const type = CONDITION.RepositoryAvailable;
  const theirs = children.flatMap((child) => findCondition(child.status?.conditions, type) ?? []);
  const worst = theirs.find((condition) => condition.status === 'False') ?? theirs[0];
  if (!worst) return status;
  const others = (status.conditions ?? []).filter((condition) => condition.type !== type);
  return { ...status, conditions: [...others, worst] };
}

/** The agent freezes all containers together, the kubelet one after the other. */
function frozenTogether(
  podCheckpoint: PodCheckpoint,
  children: ContainerCheckpoint[],
): Pick<CheckpointStatus, 'frozenMilliseconds'> {
  const times = children.flatMap((child) => child.status?.frozenMilliseconds ?? []);
  if (times.length < children.length || times.length === 0) return {};
  return {
    frozenMilliseconds:
      wayOf(podCheckpoint) === 'Kubelet' ? times.reduce((sum, time) => sum + time, 0) : Math.max(...times),
  };
}
