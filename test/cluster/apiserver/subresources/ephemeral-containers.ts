import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import { sendObject, type Target } from '../http/resource-handler.js';
import { isFields, type KubeObject } from '../kube-object.js';
import { mergePatch } from '../patch/merge-patch.js';
import { strategicMerge } from '../patch/strategic-merge.js';
import { defaultPodSpec } from '../strategy/pod-defaults.js';
import type { Pod } from '../resources/pod-types.js';
import { badRequest, methodNotAllowed } from '../status-error.js';
import { mustGet } from '../verbs/update.js';

/** Adds containers to a running pod (kubectl debug). Nothing else of the pod is changed. */
export async function updateEphemeralContainers(
  api: Api,
  exchange: Exchange,
  target: Target,
  name: string,
): Promise<void> {
  const { resource, namespace } = target;
  const old = mustGet(api, resource, namespace, name) as Pod;
  if (exchange.method === 'GET') return sendObject(exchange, resource, 200, old);
  const body = await exchange.readObject();
  if (!isFields(body)) throw badRequest('the body of the request is not an object');
  const next = changed(exchange, target, old, body) as Pod;
  const ephemeralContainers = next.spec.ephemeralContainers ?? [];
  const spec = structuredClone({ ...old.spec, ephemeralContainers });
  defaultPodSpec(spec);
  const object: KubeObject = { ...old, spec };
  const stored = exchange.context().dryRun ? object : api.store.put(resource.storage, object);
  sendObject(exchange, resource, 200, stored);
}

function changed(exchange: Exchange, target: Target, old: Pod, body: Record<string, unknown>): unknown {
  switch (exchange.method) {
    case 'PUT':
      return body;
    case 'PATCH':
      return exchange.contentType === 'application/strategic-merge-patch+json'
        ? strategicMerge(target.resource.schema, structuredClone(old), body)
        : mergePatch(structuredClone(old), body);
    default:
      throw methodNotAllowed();
  }
}
