/** PodDisruptionBudget: how many pods may be evicted (k8s.io/kubernetes/pkg/controller/disruption). */
import type { KubeObject, Pod } from '../../../common/kube/types.js';
import type { Requeue } from '../../../controller/queue.js';
import { sameJson } from '../apiserver/kube-object.js';
import { matchesLabelSelector } from '../apiserver/label-selector.js';
import { timestamp } from '../apiserver/time.js';
import { controllerOf, inNamespace } from './caches.js';
import { scaledValue } from './deployment-bounds.js';
import { isEnding, isReady } from './pods.js';
import { keyOfChange } from './replicaset.js';
import type { Controller, Shell } from './shell.js';
import type { PodDisruptionBudget } from './types.js';

/** An evicted pod that is still not seen to end after that long was not evicted after all. */
const evictionTimeoutMs = 2 * 60_000;

/** `scale`: how many pods there should be, by those who control them. */
export function budgetStatus(
  budget: PodDisruptionBudget,
  pods: Pod[],
  scale: number,
  nowMs: number,
): NonNullable<PodDisruptionBudget['status']> {
  const { minAvailable, maxUnavailable } = budget.spec ?? {};
  // A fixed minimum needs to know nobody's size.
  const isFixed = maxUnavailable === undefined && !String(minAvailable ?? 0).endsWith('%');
  const expectedPods = isFixed ? pods.length : scale;
  const desiredHealthy =
    maxUnavailable === undefined
      ? scaledValue(minAvailable ?? 0, expectedPods, Math.ceil)
      : Math.max(0, expectedPods - scaledValue(maxUnavailable, expectedPods, Math.ceil));
  const disruptedPods = Object.fromEntries(
    Object.entries(budget.status?.disruptedPods ?? {}).filter(([name, time]) => {
      const pod = pods.find((one) => one.metadata.name === name);
      return pod && !isEnding(pod) && nowMs - Date.parse(String(time)) < evictionTimeoutMs;
    }),
  );
  const healthy = pods.filter(
    (pod) => isReady(pod) && !isEnding(pod) && !(pod.metadata.name in disruptedPods),
  );
  const disruptionsAllowed = expectedPods > 0 ? Math.max(0, healthy.length - desiredHealthy) : 0;
  const isAllowed = disruptionsAllowed > 0;
  const status = isAllowed ? 'True' : 'False';
  const old = budget.status?.conditions ?? [];
  const known = old.find(({ type }) => type === 'DisruptionAllowed');
  const condition = {
    type: 'DisruptionAllowed',
    status,
    reason: isAllowed ? 'SufficientPods' : 'InsufficientPods',
    message: '',
    observedGeneration: budget.metadata.generation!,
    lastTransitionTime: known?.status === status ? known.lastTransitionTime : timestamp(nowMs),
  };
  return {
    observedGeneration: budget.metadata.generation!,
    expectedPods,
    desiredHealthy,
    currentHealthy: healthy.length,
    disruptionsAllowed,
    ...(Object.keys(disruptedPods).length > 0 ? { disruptedPods } : {}),
    conditions: [...old.filter(({ type }) => type !== 'DisruptionAllowed'), condition],
  };
}

export function disruptionController(shell: Shell): Controller {
  const { caches, clients } = shell;

  const selects = (budget: PodDisruptionBudget, pod: KubeObject): boolean =>
    budget.metadata.namespace === pod.metadata.namespace &&
    matchesLabelSelector(budget.spec?.selector, pod.metadata.labels ?? {});

  async function sync(key: string): Promise<Requeue | void> {
    const budget = caches.budgets.get(key);
    if (!budget || budget.metadata.deletionTimestamp) return;
    const pods = inNamespace(caches.pods, budget.metadata.namespace).filter((pod) => selects(budget, pod));
    const status = budgetStatus(budget, pods, scaleOf(pods), shell.now());
    if (!sameJson(status, budget.status)) await clients.budgets.replaceStatus({ ...budget, status });
    return status.disruptedPods ? { afterMs: evictionTimeoutMs } : undefined;
  }

  /** What the owners of the pods want, each counted once. */
  function scaleOf(pods: Pod[]): number {
    const sizes = new Map<string, number>();
    for (const pod of pods) {
      const owner = controllerOf(pod);
      if (!owner) continue;
      const key = `${pod.metadata.namespace}/${owner.name}`;
      const rs = owner.kind === 'ReplicaSet' ? caches.replicaSets.get(key) : undefined;
      const above = rs && controllerOf(rs);
      const deployment = above && caches.deployments.get(`${pod.metadata.namespace}/${above.name}`);
      const set = owner.kind === 'StatefulSet' ? caches.statefulSets.get(key) : undefined;
      const found = deployment ?? rs ?? set;
      if (found) sizes.set(found.metadata.uid!, found.spec?.replicas ?? 1);
    }
    return [...sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  return {
    name: 'disruption-controller',
    sync,
    keysOf(change) {
      if (change.kind === 'PodDisruptionBudget') return [keyOfChange(change)];
      if (change.kind !== 'Pod') return [];
      return caches.budgets
        .list()
        .filter((budget) => [change.object, change.old].some((pod) => pod && selects(budget, pod)))
        .map((budget) => `${budget.metadata.namespace}/${budget.metadata.name}`);
    },
  };
}
