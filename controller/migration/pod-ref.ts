/** Pods as the agents are told of them. */
import type { PodMigration } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import type { PodRef } from '../../proto/gen/lpm/v1/agent.js';

export function podRef({ metadata }: Pod): PodRef {
  return { namespace: metadata.namespace!, name: metadata.name, uid: metadata.uid! };
}

/** The source as it was when the migration was accepted. */
export function sourceRef({ metadata, spec, status }: PodMigration): PodRef {
  return { namespace: metadata.namespace!, name: spec.podName, uid: status!.sourcePodUID! };
}

export function targetRef({ metadata, status }: PodMigration): PodRef {
  return { namespace: metadata.namespace!, name: status!.restoredPodName!, uid: status!.restoredPodUID! };
}
