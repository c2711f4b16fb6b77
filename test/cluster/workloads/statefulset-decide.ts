/** What a StatefulSet does next: pure. Follows stateful_set_control.go of Kubernetes. */
import type { Pod } from '../../../common/kube/types.js';
import { isEnding, isAvailable, isReady } from './pods.js';
import { scaledValue } from './deployment-bounds.js';
import type { StatefulSet } from './types.js';

export type StatefulSetAction =
  { do: 'create'; ordinal: number; revision: string } | { do: 'delete'; pod: Pod };

export interface StatefulSetView {
  set: StatefulSet;
  pods: Pod[];
  /** Names of the revisions. */
  current: string;
  update: string;
}

export const revisionLabel = 'controller-revision-hash';

/** The number in a pod's name, when it is one of the set's. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const match = /^(.*)-(\d+)$/.exec(pod.metadata.name);
  return match?.[1] === set.metadata.name ? Number(match[2]) : undefined;
}

const isCreated = (pod: Pod): boolean => Boolean(pod.status?.phase);
const isRunningAndReady = (pod: Pod): boolean => pod.status?.phase === 'Running' && isReady(pod);
const isHealthy = (pod: Pod): boolean => isRunningAndReady(pod) && !isEnding(pod);
const revisionOf = (pod: Pod): string => pod.metadata.labels?.[revisionLabel] ?? '';

export function decideStatefulSet(
  { set, pods, current, update }: StatefulSetView,
  nowMs: number,
): StatefulSetAction[] {
  if (set.metadata.deletionTimestamp) return [];
  const spec = set.spec!;
  const first = spec.ordinals?.start ?? 0;
  const wanted = spec.replicas ?? 1;
  const isMonotonic = spec.podManagementPolicy !== 'Parallel';
  const minReadySeconds = spec.minReadySeconds ?? 0;
  const byOrdinal = new Map<number, Pod>();
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod);
    if (ordinal !== undefined) byOrdinal.set(ordinal, pod);
  }
  const ordinals = Array.from({ length: wanted }, (_, i) => first + i);
  const condemned = [...byOrdinal.keys()]
    .filter((ordinal) => ordinal < first || ordinal >= first + wanted)
    .sort((a, b) => b - a);
  const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  const actions: StatefulSetAction[] = [];

  for (const ordinal of ordinals) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) {
      actions.push({ do: 'create', ordinal, revision: revisionFor(ordinal) });
      if (isMonotonic) return actions;
      continue;
    }
    const isOver = pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';
    if (isOver && !isEnding(pod)) {
      actions.push({ do: 'delete', pod });
      if (isMonotonic) return actions;
      continue;
    }
    if (!isMonotonic) continue;
    if (isEnding(pod) || !isRunningAndReady(pod)) return actions;
    if (!isAvailable(pod, minReadySeconds, nowMs)) return actions;
  }

  const unhealthy = [...ordinals, ...condemned]
    .map((ordinal) => byOrdinal.get(ordinal))
    .filter((pod) => pod && !isHealthy(pod));
  const firstUnhealthy = unhealthy[0];
  for (const ordinal of condemned) {
    const pod = byOrdinal.get(ordinal)!;
    if (isEnding(pod)) {
      if (isMonotonic) return actions;
      continue;
    }
    if (!isRunningAndReady(pod) && isMonotonic && pod !== firstUnhealthy) return actions;
    actions.push({ do: 'delete', pod });
    if (isMonotonic) return actions;
  }

  if (actions.length > 0 || spec.updateStrategy?.type === 'OnDelete') return actions;
  const maxUnavailable =
    scaledValue(spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, wanted, Math.ceil) || 1;
  let unavailable = 0;
  for (const ordinal of [...ordinals].reverse()) {
    if (ordinal < first + partition) break;
    const pod = byOrdinal.get(ordinal);
    if (!pod) return actions;
    if (revisionOf(pod) !== update && !isEnding(pod)) {
      actions.push({ do: 'delete', pod });
      unavailable++;
    } else if (!isHealthy(pod) || !isAvailable(pod, minReadySeconds, nowMs)) {
      unavailable++;
    }
    if (unavailable >= maxUnavailable) return actions;
  }
  return actions;

  /** Below the partition, and for those that were there before an update reaches them, the current revision. */
  function revisionFor(ordinal: number): string {
    if (spec.updateStrategy?.type === 'OnDelete') return update;
    const done = set.status?.currentReplicas ?? 0;
    const isFresh = set.status?.currentRevision === undefined;
    const isCurrent =
      (isFresh && ordinal < first + partition) || (!isFresh && ordinal < first + Math.max(partition, done));
    return isCurrent ? current : update;
  }
}

export function statefulSetStatus(
  { set, pods, current, update }: StatefulSetView,
  nowMs: number,
): NonNullable<StatefulSet['status']> {
  const ours = pods.filter((pod) => ordinalOf(set, pod) !== undefined && isCreated(pod));
  const count = (fits: (pod: Pod) => boolean): number => ours.filter(fits).length;
  const ready = count(isRunningAndReady);
  const updated = count((pod) => revisionOf(pod) === update && !isEnding(pod));
  const isRolledOut =
    set.spec?.updateStrategy?.type !== 'OnDelete' &&
    updated === ours.length &&
    updated === (set.spec?.replicas ?? 1) &&
    ready === ours.length;
  const currentRevision = isRolledOut ? update : current;
  const counts = {
    readyReplicas: ready,
    currentReplicas: count((pod) => revisionOf(pod) === currentRevision && !isEnding(pod)),
    updatedReplicas: updated,
  };
  return {
    observedGeneration: set.metadata.generation!,
    replicas: ours.length,
    // The API leaves out counts of 0, but tells how many are available.
    ...Object.fromEntries(Object.entries(counts).filter(([, value]) => value > 0)),
    availableReplicas: count(
      (pod) => isAvailable(pod, set.spec?.minReadySeconds ?? 0, nowMs) && isRunningAndReady(pod),
    ),
    currentRevision,
    updateRevision: update,
    collisionCount: set.status?.collisionCount ?? 0,
  };
}
