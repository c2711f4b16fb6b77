/**
 * What is asked of an agent next, and for which containers. Pure. The agent of the node takes all containers of a pod
 * together; the kubelet takes one after the other; an import has all its archives uploaded together.
 */
import type { ContainerCheckpoint } from '../../common/api/schema.js';
import { isFinished, isPodCheckpoint, type Checkpoint } from './kinds.js';

export type Way = 'Agent' | 'Kubelet' | 'Import';

export interface Turn {
  /** Names what is asked for: asked twice, it is done once. */
  uid: string;
  /** The ContainerCheckpoints that it is for. */
  members: ContainerCheckpoint[];
}

export function wayOf({ spec }: Checkpoint): Way {
  return spec.import ? 'Import' : (spec.via ?? 'Agent');
}

/** Undefined: every container has its archive. */
export function turnOf(checkpoint: Checkpoint, members: ContainerCheckpoint[]): Turn | undefined {
  const open = members.filter((member) => !isFinished(member));
  const [next] = open;
  if (!next) return undefined;
  switch (wayOf(checkpoint)) {
    case 'Kubelet':
      return { uid: next.metadata.uid!, members: [next] };
    case 'Agent':
    case 'Import':
      // Those that are finished are among them: what is asked for must not differ from one time to the next.
      return { uid: checkpoint.metadata.uid!, members };
  }
}

/** The ContainerCheckpoint itself, or those that the PodCheckpoint has made. */
export function membersOf(checkpoint: Checkpoint, children: ContainerCheckpoint[]): ContainerCheckpoint[] {
  return isPodCheckpoint(checkpoint) ? children : [checkpoint];
}
