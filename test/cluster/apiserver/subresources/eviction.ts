import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import type { Target } from '../http/resource-handler.js';
import { at, type KubeObject } from '../kube-object.js';
import type { Pod } from '../resources/pod-types.js';
import { matchesLabelSelector } from '../label-selector.js';
import { methodNotAllowed, tooManyRequests } from '../status-error.js';
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
  const isRunning = pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';
  const budget = isRunning && pod.spec.nodeName ? exhaustedBudget(api, pod) : undefined;
  if (budget) {
    throw tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", [
      {
        reason: 'DisruptionBudget',
        message: `The disruption budget ${budget.metadata.name} needs ${Number(at(budget.status, 'desiredHealthy') ?? 0)} healthy pods and has ${Number(at(budget.status, 'currentHealthy') ?? 0)} currently`,
      },
    ]);
  }
  const options = deleteOptions(at(body, 'deleteOptions'), exchange.query);
  deleteObject(api, target.resource, target.namespace, name, options, exchange.context());
  exchange.sendJson(
    201,
    JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }),
  );
}

function exhaustedBudget(api: Api, pod: Pod): KubeObject | undefined {
  for (const budget of api.store.list('policy/poddisruptionbudgets', pod.metadata.namespace)) {
    const selector = at(budget.spec, 'selector');
    if (!matchesLabelSelector(selector, pod.metadata.labels ?? {})) continue;
    if (Number(at(budget.status, 'disruptionsAllowed') ?? 0) <= 0) return budget;
  }
  return undefined;
}
