/** What the agent of the target is told of the archives that it is to restore from. */
import type { PodMigration } from '../../../common/api/schema.js';
import { LpmError } from '../../../common/errors.js';
import type { ArchiveSource } from '../../../proto/gen/lpm/v1/agent.js';
import type { Agent } from '../../agents/agent.js';
import type { BoundCheckpoint } from '../../checkpoint/bound.js';
import type { Parts } from '../../parts.js';
import type { TargetPod, TargetPodPlan } from '../../../common/pods/target-pod.js';
import { boundTo } from './collect.js';
import { checkpointWords } from './is-restore.js';
import { checkpointedPod, restoredPod, twinsOf } from './saved-pod.js';

/** The checkpoint that was accepted, read and judged anew before each use; throws when it is not the same any more. */
async function acceptedCheckpoint(parts: Parts, migration: PodMigration): Promise<BoundCheckpoint> {
  const { bound, refusal } = await boundTo(parts, migration);
  if (!bound) throw new LpmError(refusal.reason, refusal.message, { hint: refusal.hint });
  if (bound.uid === migration.status?.podCheckpointUID) return bound;
  throw new LpmError(
    'CheckpointNotFound',
    `${checkpointWords(migration)} was deleted, and another one has its name now.`,
    { hint: 'Restore again, if the new one is meant.' },
  );
}

/** The pod to be made, by what is there at this moment. */
export async function podToMake(
  parts: Parts,
  migration: PodMigration,
  plan: TargetPodPlan,
): Promise<TargetPod> {
  const bound = await acceptedCheckpoint(parts, migration);
  const saved = checkpointedPod(bound);
  if (!saved)
    throw new LpmError('NotRestorable', `${checkpointWords(migration)} does not hold the spec of its pod.`);
  return restoredPod(saved, migration, plan, twinsOf(bound, migration, parts.caches.pods.list()));
}

/** The archives, one for each container, with what they must be. */
export async function archivesFor(parts: Parts, migration: PodMigration): Promise<ArchiveSource[]> {
  const bound = await acceptedCheckpoint(parts, migration);
  const target = migration.status!.targetNode!;
  const agentOf = (node: string): Agent => parts.agents.agent(node, parts.caches.nodes.get(node));
  const shares = await sharesRepository(parts, agentOf(target));
  return bound.containers.map(({ spec }): ArchiveSource => {
    const { containerName, artifactURI: uri, sha256, sizeBytes, nodeName } = spec;
    if (!sha256)
      throw new LpmError(
        'NotRestorable',
        `The archive of container ${containerName} has no recorded SHA-256.`,
      );
    const comes = (uri.startsWith('file://') || !shares) && nodeName !== target;
    return {
      containerName,
      uri,
      sha256: Buffer.from(sha256, 'hex'),
      bytes: BigInt(sizeBytes ?? 0),
      address: comes ? agentOf(nodeName).address : '',
      nodeName: comes ? nodeName : '',
    };
  });
}

/**
 * Whether a node has mounted the repository. One that has not gets the archive from the node on which it was made, whose agent
 * keeps a copy.
 */
async function sharesRepository(parts: Parts, agent: Agent): Promise<boolean> {
  const { repository } = await agent.listArchives(await parts.clusterUid());
  return repository?.shared ?? true;
}
