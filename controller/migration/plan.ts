/** What the target pod is to be called, and where it may go. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import { originOf, restoredName } from '../../common/pods/restored-name.js';
import type { TargetPodPlan } from '../../common/pods/target-pod.js';
import type { MigrationFacts } from './facts.js';

export function targetName({ migration, podNames }: MigrationFacts, pod: Pod): string {
  const taken = new Set(podNames);
  return migration.spec.restoredPodName ?? restoredName(originOf(pod), (other) => taken.has(other));
}

export function targetPlan({ spec }: PodMigration, name: string, candidates: string[]): TargetPodPlan {
  return spec.targetNode ? { name, nodeName: spec.targetNode } : { name, candidates };
}
