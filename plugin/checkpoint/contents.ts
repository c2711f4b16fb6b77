import type { ContainerCheckpointContent } from '../../common/api/schema.js';
import { CHECKPOINT_REPOSITORY } from '../../common/api/names.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Checkpoint } from './kinds.js';

/**
 * The contents of a checkpoint's containers. Contents are cluster-scoped, and many a person may not read them: then, or when
 * there are none (yet), it is empty.
 */
export async function contentsOf(
  client: KubeClient,
  { kind, status }: Checkpoint,
): Promise<ContainerCheckpointContent[]> {
  const bound = status?.boundContentName;
  if (!bound) return [];
  try {
    const names =
      kind === 'ContainerCheckpoint'
        ? [bound]
        : ((await client.podCheckpointContents.find(bound))?.spec.containerCheckpointContents ?? []);
    const found = await Promise.all(names.map((name) => client.containerCheckpointContents.find(name)));
    return found.filter((content) => content !== undefined);
  } catch {
    // Forbidden or unreachable by now: the checkpoint is there all the same.
    return [];
  }
}

/** `shared://FILE` lies in the repository, `file://PATH` on one node. */
export function place({ artifactURI: uri, nodeName }: ContainerCheckpointContent['spec']): string {
  if (uri.startsWith('shared://'))
    return `${CHECKPOINT_REPOSITORY}/${uri.slice('shared://'.length)} (shared)`;
  if (uri.startsWith('file://')) return `${uri.slice('file://'.length)} (on node ${nodeName} only)`;
  return uri;
}

/** The same in a word: for a column. */
export function placeWord({ artifactURI: uri, nodeName }: ContainerCheckpointContent['spec']): string {
  return uri.startsWith('shared://') ? 'repository' : `node ${nodeName}`;
}
