/** What becomes of each pod of a node that is drained, before anything is asked of the cluster. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import { isOver } from '../progress/stuck.js';

export type Plan =
  /** Nothing to do: it belongs to the node, has ended, or is going. `why` is a sentence. */
  | { do: 'leave'; why: string; blocks: boolean }
  | { do: 'migrate' }
  /** A migration of it is going on already, of an earlier drain perhaps. */
  | { do: 'follow'; migration: string };

export function planFor(pod: Pod, migrations: readonly PodMigration[]): Plan {
  const { metadata, status } = pod;
  const owner =
    metadata.ownerReferences?.find(({ controller }) => controller) ?? metadata.ownerReferences?.[0];
  if (metadata.annotations?.['kubernetes.io/config.mirror'] || owner?.kind === 'Node') {
    return { do: 'leave', why: 'A static pod: it belongs to the node.', blocks: false };
  }
  if (owner?.kind === 'DaemonSet') {
    return {
      do: 'leave',
      why: `Of DaemonSet ${owner.name}, which has one pod on each node.`,
      blocks: false,
    };
  }
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') {
    return { do: 'leave', why: `It has ended (${status.phase}).`, blocks: false };
  }
  const migration = migrations.find(
    (each) =>
      each.metadata.namespace === metadata.namespace &&
      each.spec.podName === metadata.name &&
      !each.spec.preflightOnly &&
      !isOver(each.status ?? {}),
  );
  if (migration) return { do: 'follow', migration: migration.metadata.name };
  if (metadata.deletionTimestamp) return { do: 'leave', why: 'It is being deleted.', blocks: true };
  if (status?.phase !== 'Running') {
    return {
      do: 'leave',
      why: `It is ${status?.phase ?? 'Unknown'}, not Running: there is no state to move.`,
      blocks: true,
    };
  }
  return { do: 'migrate' };
}
