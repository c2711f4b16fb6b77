import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import type { Target } from '../http/resource-handler.js';
import { fieldsOf, isFields, type Fields, type KubeObject } from '../kube-object.js';
import { applyJsonPatch } from '../patch/json-patch.js';
import { mergePatch } from '../patch/merge-patch.js';
import type { Resource } from '../resources/resource.js';
import { badRequest, methodNotAllowed } from '../status-error.js';
import { jsonPath } from '../tables/json-path.js';
import { mustGet, replaceObject } from '../verbs/update.js';

type ScalePaths = NonNullable<Resource['scale']>;

/** The subresource that kubectl scale reads and writes (autoscaling/v1, Scale). */
export async function handleScale(
  api: Api,
  exchange: Exchange,
  target: Target,
  name: string,
  paths: ScalePaths,
): Promise<void> {
  const { resource, namespace } = target;
  const old = mustGet(api, resource, namespace, name);
  const scale = scaleOf(old, paths);
  if (exchange.method === 'GET') return exchange.sendJson(200, JSON.stringify(scale));
  const body = await exchange.readObject();
  const wanted = changed(exchange, scale, body);
  const replicas = fieldsOf(fieldsOf(wanted)['spec'])['replicas'] ?? 0;
  if (!Number.isInteger(replicas) || Number(replicas) < 0) {
    throw badRequest(
      `spec.replicas: Invalid value: ${JSON.stringify(replicas)}: must be greater than or equal to 0`,
    );
  }
  const next = structuredClone(old);
  const version = fieldsOf(fieldsOf(wanted)['metadata'])['resourceVersion'];
  if (typeof version === 'string') next.metadata.resourceVersion = version;
  setPath(next, paths.specPath, replicas);
  const stored = replaceObject(api, resource, 'object', next, old, exchange.context());
  exchange.sendJson(200, JSON.stringify(scaleOf(stored, paths)));
}

function changed(exchange: Exchange, scale: Fields, body: unknown): unknown {
  switch (exchange.method) {
    case 'PUT':
      return body;
    case 'PATCH':
      return exchange.contentType === 'application/json-patch+json'
        ? applyJsonPatch(structuredClone(scale), body)
        : mergePatch(structuredClone(scale), body);
    default:
      throw methodNotAllowed();
  }
}

function scaleOf(object: KubeObject, paths: ScalePaths): Fields {
  const selector = paths.selectorPath ? jsonPath(paths.selectorPath, object)[0] : undefined;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: jsonPath(paths.specPath, object)[0] ?? 0 },
    status: {
      replicas: jsonPath(paths.statusPath, object)[0] ?? 0,
      ...(selector === undefined ? {} : { selector: selectorText(selector) }),
    },
  };
}

function selectorText(selector: unknown): string {
  if (typeof selector === 'string') return selector;
  const labels = fieldsOf(fieldsOf(selector)['matchLabels']);
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');
}

function setPath(object: Fields, path: string, value: unknown): void {
  const steps = path.split('.').filter((step) => step !== '');
  const last = steps.pop()!;
  let place = object;
  for (const step of steps) {
    const inner = place[step];
    place = isFields(inner) ? inner : ((place[step] = {}) as Fields);
  }
  place[last] = value;
}
