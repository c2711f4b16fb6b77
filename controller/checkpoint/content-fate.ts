/**
 * What becomes of a content when its checkpoint is gone. Pure.
 *
 * A content is an object like any other: somebody may have made one by hand, with somebody else's archive in it. So files are
 * removed only for one that has the name that we give (nobody can make a second one of that name), whose archive no other
 * content holds and whose checkpoint is not there under another name; and the agent removes none that was made for another
 * checkpoint.
 */
import type { ContainerCheckpointContent, PodCheckpointContent } from '../../common/api/schema.js';
import { CHECKPOINT_UID_ANNOTATION, containerContentName, podContentName } from './names.js';

export type Content = PodCheckpointContent | ContainerCheckpointContent;

export interface ContentFacts {
  /** The checkpoint that it names exists, with that UID. */
  hasOwner: boolean;
  /** UIDs of all checkpoints that exist. */
  checkpointUids: ReadonlySet<string>;
  podContents: readonly PodCheckpointContent[];
  containerContents: readonly ContainerCheckpointContent[];
  /** What works with it at the moment; empty when nothing does. */
  usedBy: string;
}

export type Fate =
  | { do: 'keep' }
  /** Not one of ours. */
  | { do: 'ignore'; why: string }
  | { do: 'wait'; why: string }
  /** The artifacts of a migration on its node, an archive, or nothing but the object. */
  | { do: 'remove'; files: 'artifacts' | 'archive' | 'none'; checkpointUid: string };

export function refOf({ spec }: Content): { namespace: string; name: string; uid: string } {
  return 'podCheckpointRef' in spec ? spec.podCheckpointRef : spec.containerCheckpointRef;
}

export const isPodContent = (content: Content): content is PodCheckpointContent =>
  'podCheckpointRef' in content.spec;

export function fateOf(content: Content, facts: ContentFacts): Fate {
  if (content.spec.deletionPolicy === 'Retain' || facts.hasOwner) return { do: 'keep' };
  const { uid } = refOf(content);
  if (content.metadata.name !== (isPodContent(content) ? podContentName(uid) : containerContentName(uid))) {
    return { do: 'ignore', why: 'it does not have the name that the controller gives' };
  }
  if (facts.checkpointUids.has(uid)) {
    return { do: 'ignore', why: 'its checkpoint exists under another name' };
  }
  if (facts.usedBy) return { do: 'wait', why: facts.usedBy };
  const checkpointUid = content.metadata.annotations?.[CHECKPOINT_UID_ANNOTATION] ?? uid;
  if (!content.spec.via) {
    // The artifact of a container that was checkpointed for a migration goes with the pod's content.
    return { do: 'remove', files: checkpointUid === uid ? 'artifacts' : 'none', checkpointUid };
  }
  if (isPodContent(content)) return { do: 'remove', files: 'none', checkpointUid };
  return containerFate(content, checkpointUid, facts);
}

/** It is part of a set that stays or goes as a whole. */
function containerFate(
  content: ContainerCheckpointContent,
  checkpointUid: string,
  { podContents, containerContents, checkpointUids }: ContentFacts,
): Fate {
  const set = podContents.find((other) => isSetOf(other, content));
  if (set?.spec.deletionPolicy === 'Retain') return { do: 'keep' };
  if (set) return { do: 'wait', why: `content ${set.metadata.name} needs it` };
  if (checkpointUids.has(checkpointUid)) {
    return { do: 'wait', why: `checkpoint ${checkpointUid}, which it was made with, exists` };
  }
  const { artifactURI, nodeName } = content.spec;
  const shared = containerContents.some(
    (other) =>
      other.metadata.name !== content.metadata.name &&
      other.spec.artifactURI === artifactURI &&
      (artifactURI.startsWith('shared://') || other.spec.nodeName === nodeName),
  );
  return { do: 'remove', files: shared ? 'none' : 'archive', checkpointUid };
}

export function isSetOf(set: PodCheckpointContent, { metadata, spec }: ContainerCheckpointContent): boolean {
  return (
    set.spec.containerCheckpointContents.includes(metadata.name) &&
    set.metadata.name === podContentName(set.spec.podCheckpointRef.uid) &&
    set.spec.podCheckpointRef.namespace === spec.containerCheckpointRef.namespace &&
    set.spec.podUID === spec.podUID
  );
}
