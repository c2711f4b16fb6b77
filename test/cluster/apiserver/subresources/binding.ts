import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import type { Target } from '../http/resource-handler.js';
import { at, textOf, type KubeObject } from '../kube-object.js';
import type { Condition, Pod } from '../resources/pod-types.js';
import type { Resource } from '../resources/resource.js';
import { badRequest, conflict, methodNotAllowed } from '../status-error.js';
import { timestamp } from '../time.js';
import { mustGet } from '../verbs/update.js';

export async function createBinding(
  api: Api,
  exchange: Exchange,
  target: Target,
  name: string,
): Promise<void> {
  if (exchange.method !== 'POST') throw methodNotAllowed();
  const body = await exchange.readObject();
  const node = textOf(at(body, 'target', 'name'));
  if (!node) throw badRequest('binding: target.name: Required value');
  if (!exchange.context().dryRun) bindPod(api, target.resource, target.namespace, name, node);
  exchange.sendJson(
    201,
    JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }),
  );
}

/** Assigns a pod to a node. Throws 409 when it is assigned, gated or being deleted. */
export function bindPod(
  api: Api,
  pods: Resource,
  namespace: string | undefined,
  name: string,
  node: string,
): KubeObject {
  const pod = mustGet(api, pods, namespace, name) as Pod;
  if (pod.metadata.deletionTimestamp) {
    throw conflict(pods, name, `pod ${name} is being deleted, cannot be assigned to a host`);
  }
  if (pod.spec.nodeName) {
    throw conflict(pods, name, `pod ${name} is already assigned to node "${pod.spec.nodeName}"`);
  }
  if (pod.spec.schedulingGates?.length) {
    throw conflict(pods, name, `pod ${name} has non-empty .spec.schedulingGates`);
  }
  return api.store.put('/pods', {
    ...pod,
    spec: { ...pod.spec, nodeName: node },
    status: {
      ...pod.status,
      conditions: withCondition(pod.status?.conditions ?? [], { type: 'PodScheduled', status: 'True' }),
    },
  } as KubeObject);
}

/** The list with one condition put in; its transition time is kept while its status is the same. */
export function withCondition(conditions: Condition[], condition: Condition): Condition[] {
  const old = conditions.find(({ type }) => type === condition.type);
  const next: Condition = {
    lastProbeTime: null,
    lastTransitionTime:
      old?.status === condition.status && old.lastTransitionTime ? old.lastTransitionTime : timestamp(),
    ...condition,
  };
  return old ? conditions.map((other) => (other === old ? next : other)) : [...conditions, next];
}
