/** The object that asks for a checkpoint. Pure. */
import { API_VERSION } from '../../common/api/names.js';
import type { PodCheckpoint } from '../../common/api/schema.js';
import { nameFor } from '../object-name.js';
import type { Checkpoint } from './kinds.js';

export type CheckpointSpec = Omit<PodCheckpoint['spec'], 'podName' | 'import'>;

export interface CheckpointWish {
  /** Only this container of the pod. */
  container?: string;
  /** Name of the checkpoint; default: the pod's and five random letters. */
  name?: string;
  spec: CheckpointSpec;
}

export function checkpointOf(pod: string, namespace: string, wish: CheckpointWish): Checkpoint {
  const base = wish.container === undefined ? pod : `${pod}-${wish.container}`;
  const metadata = { name: wish.name ?? nameFor(base), namespace };
  const spec = { podName: pod, ...wish.spec };
  return wish.container === undefined
    ? { apiVersion: API_VERSION, kind: 'PodCheckpoint', metadata, spec }
    : {
        apiVersion: API_VERSION,
        kind: 'ContainerCheckpoint',
        metadata,
        spec: { ...spec, containerName: wish.container },
      };
}
