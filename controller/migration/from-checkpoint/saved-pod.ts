/**
 * The pod that was checkpointed, made up again from what the content holds, for target-pod.ts to start from. Its labels are
 * decided here: a pod that is brought back must not be taken for one that still runs.
 */
import { ANNOTATION } from '../../../common/api/names.js';
import type { PodMigration } from '../../../common/api/schema.js';
import type { Pod } from '../../../common/kube/types.js';
import type { BoundCheckpoint } from '../../checkpoint/bound.js';
import { OWNERS_LABEL } from '../../../common/pods/owner-labels.js';
import { originOf } from '../../../common/pods/restored-name.js';
import {
  isTargetOf,
  targetPod,
  type TargetPod,
  type TargetPodPlan,
} from '../../../common/pods/target-pod.js';

/** The checkpointed pod as it was; undefined for an imported checkpoint, which makes no pod. */
export function checkpointedPod({
  podName,
  podUID,
  namespace,
  podTemplate,
}: BoundCheckpoint): Pod | undefined {
  if (!podTemplate) return undefined;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...podTemplate.metadata, name: podName, namespace, uid: podUID },
    spec: podTemplate.spec as unknown as NonNullable<Pod['spec']>,
  };
}

/** The pod to be made. `twins`: pods that run and continue the same process. */
export function restoredPod(
  saved: Pod,
  migration: PodMigration,
  plan: TargetPodPlan,
  twins: readonly string[],
): TargetPod {
  const labels = Object.entries(saved.metadata.labels ?? {});
  const left = labels.filter(([key]) => twins.length > 0 || OWNERS_LABEL.test(key));
  const kept = Object.fromEntries(labels.filter((label) => !left.includes(label)));
  const { labels: _, ...metadata } = saved.metadata;
  const { pod, changes } = targetPod(
    { ...saved, metadata: { ...metadata, ...(Object.keys(kept).length > 0 ? { labels: kept } : {}) } },
    migration,
    plan,
  );
  if (left.length === 0) return { pod, changes };
  const words = left.map(([key, value]) => `${key}=${value}`).join(' ');
  const why =
    twins.length > 0
      ? `pod ${twins[0]} runs, and its Services, its owner and its policies must not take this one for it; give them back with kubectl label pod ${plan.name} ${words}.`
      : 'by them its former owner would take it for one of its own.';
  return { pod, changes: [...changes, `Without the labels ${words}: ${why}`] };
}

/** Names of the pods in this namespace that run and continue the process that was checkpointed. */
export function twinsOf(
  { podUID, podName, podTemplate }: BoundCheckpoint,
  migration: PodMigration,
  pods: readonly Pod[],
): string[] {
  const origin = podTemplate?.metadata?.annotations?.[ANNOTATION.origin] ?? podName;
  return pods
    .filter((pod) => {
      const { namespace, uid, deletionTimestamp, annotations } = pod.metadata;
      if (namespace !== migration.metadata.namespace || deletionTimestamp || isTargetOf(pod, migration))
        return false;
      if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return false;
      const restored = annotations?.[ANNOTATION.migration] !== undefined;
      return uid === podUID || (restored && originOf(pod) === origin);
    })
    .map(({ metadata }) => metadata.name);
}
