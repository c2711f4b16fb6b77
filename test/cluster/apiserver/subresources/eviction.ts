import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import type { Target } from '../http/resource-handler.js';
import { at, fieldsOf, type KubeObject } from '../kube-object.js';
import type { Pod } from '../resources/pod-types.js';
import { matchesLabelSelector } from '../label-selector.js';
import { internalError, methodNotAllowed, tooManyRequests } from '../status-error.js';
import { timestamp } from '../time.js';
import { deleteObject, deleteOptions } from '../verbs/delete.js';
import { mustGet } from '../verbs/update.js';

/** Deletes a pod unless a PodDisruptionBudget forbids it (kubernetes.io: "API-initiated Eviction"). */
export async function createEviction(
  api: Api,
  exchange: Exchange,
  target: Target,
  name: string,
): Promise<void> {
  if (exchange.method !== 'POST') throw methodNotAllowed();
  const body = await exchange.readObject();
  const pod = mustGet(api, target.resource, target.namespace, name) as Pod;
  const options = deleteOptions(at(body, 'deleteOptions'), exchange.query);
  const context = exchange.context();
  const isOver = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  // Pods that do not run yet, or no longer, are nobody's loss.
  if (!isOver && pod.status?.phase !== 'Pending' && !pod.metadata.deletionTimestamp)
    spend(api, pod, context.dryRun);
  deleteObject(api, target.resource, target.namespace, name, options, context);
  exchange.sendJson(
    201,
    JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }),
  );
}

/** Takes one of the allowed disruptions, so that the next eviction sees it taken before the pod is gone. */
function spend(api: Api, pod: Pod, isDry: boolean): void {
  const budgets = [...api.store.list('policy/poddisruptionbudgets', pod.metadata.namespace)].filter(
    (budget) => matchesLabelSelector(at(budget.spec, 'selector'), pod.metadata.labels ?? {}),
  );
  if (budgets.length > 1) {
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  const [budget] = budgets;
  if (!budget || isSpareUnready(budget, pod)) return;
  const allowed = Number(at(budget.status, 'disruptionsAllowed') ?? 0);
  const isObserved =
    Number(at(budget.status, 'observedGeneration') ?? 0) >= (budget.metadata.generation ?? 0);
  if (allowed <= 0 || !isObserved) {
    throw tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", [
      {
        reason: 'DisruptionBudget',
        message: isObserved
          ? `The disruption budget ${budget.metadata.name} needs ${Number(at(budget.status, 'desiredHealthy') ?? 0)} healthy pods and has ${Number(at(budget.status, 'currentHealthy') ?? 0)} currently`
          : `The disruption budget ${budget.metadata.name} is still being processed by the server.`,
      },
    ]);
  }
  if (isDry) return;
  const status = {
    ...fieldsOf(budget.status),
    disruptionsAllowed: allowed - 1,
    disruptedPods: { ...fieldsOf(at(budget.status, 'disruptedPods')), [pod.metadata.name]: timestamp() },
  };
  api.store.put('policy/poddisruptionbudgets', { ...budget, status });
}

/** An unready pod may go while the others keep the budget (unhealthyPodEvictionPolicy). */
function isSpareUnready(budget: KubeObject, pod: Pod): boolean {
  const isReady = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  if (isReady) return false;
  if (at(budget.spec, 'unhealthyPodEvictionPolicy') === 'AlwaysAllow') return true;
  const desired = Number(at(budget.status, 'desiredHealthy') ?? 0);
  return desired > 0 && Number(at(budget.status, 'currentHealthy') ?? 0) >= desired;
}
