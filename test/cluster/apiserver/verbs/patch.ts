import type { Api } from '../api.js';
import { isFields, type Fields, type KubeObject } from '../kube-object.js';
import { applyJsonPatch } from '../patch/json-patch.js';
import { mergePatch } from '../patch/merge-patch.js';
import { serverSideApply } from '../patch/server-side-apply.js';
import { strategicMerge } from '../patch/strategic-merge.js';
import { apiVersionOf, type RequestContext, type Resource } from '../resources/resource.js';
import { badRequest, notFound, unsupportedMediaType } from '../status-error.js';
import { builtinSchema } from '../schema/builtin-schema.js';
import { createObject } from './create.js';
import { decodeIncoming } from './incoming.js';
import { mustGet, replaceObject, type Part } from './update.js';

export interface PatchRequest {
  contentType: string;
  body: unknown;
  /** Server-side apply: take over fields that another manager applied. */
  force: boolean;
}

const json = 'application/json-patch+json';
const merge = 'application/merge-patch+json';
const strategic = 'application/strategic-merge-patch+json';
const apply = 'application/apply-patch+yaml';

export interface Patched {
  object: KubeObject;
  isNew: boolean;
}

export function patchObject(
  api: Api,
  resource: Resource,
  namespace: string | undefined,
  name: string,
  part: Part,
  request: PatchRequest,
  context: RequestContext,
): Patched {
  if (request.contentType === apply || request.contentType === 'application/apply-patch+cbor') {
    return applyObject(api, resource, namespace, name, part, request, context);
  }
  const types = resource.isCustom ? [json, merge] : [json, merge, strategic];
  if (!types.includes(request.contentType)) throw unsupportedMediaType([...types, apply]);
  const old = mustGet(api, resource, namespace, name);
  const patched = patch(resource, structuredClone(old), request);
  if (!isFields(patched)) throw badRequest('the patch does not leave an object');
  return { object: store(api, resource, part, patched, old, context), isNew: false };
}

function patch(resource: Resource, target: KubeObject, request: PatchRequest): unknown {
  switch (request.contentType) {
    case json:
      return applyJsonPatch(target, request.body);
    case merge:
      return mergePatch(target, request.body);
    default:
      if (!isFields(request.body)) throw badRequest('error decoding patch: the patch is not an object');
      return strategicMerge(resource.schema, target, request.body);
  }
}

function store(
  api: Api,
  resource: Resource,
  part: Part,
  patched: Fields,
  old: KubeObject,
  context: RequestContext,
): KubeObject {
  const next = decodeIncoming(resource, patched, context);
  if (next.metadata.name !== old.metadata.name) {
    throw badRequest('the name of the object may not be changed by a patch');
  }
  return replaceObject(api, resource, part, next, old, context);
}

function applyObject(
  api: Api,
  resource: Resource,
  namespace: string | undefined,
  name: string,
  part: Part,
  request: PatchRequest,
  context: RequestContext,
): Patched {
  const applied = request.body;
  if (!isFields(applied)) throw badRequest('error decoding YAML: the applied configuration is not an object');
  if (applied['apiVersion'] !== apiVersionOf(resource) || applied['kind'] !== resource.kind) {
    throw badRequest(
      `invalid object type: ${String(applied['apiVersion'])}, Kind=${String(applied['kind'])}: expected ${apiVersionOf(resource)}, Kind=${resource.kind}`,
    );
  }
  const metadata = isFields(applied['metadata']) ? applied['metadata'] : {};
  if (metadata['managedFields'] !== undefined) throw badRequest('metadata.managedFields must be nil');
  if (!context.fieldManager) throw badRequest('fieldManager is required for apply patch');
  if (metadata['name'] !== undefined && metadata['name'] !== name) {
    throw badRequest(
      `metadata.name does not match the name on the URL: ${String(metadata['name'])} != ${name}`,
    );
  }
  const stored = api.store.get(resource.storage, namespace, name);
  if (!stored && part === 'status') throw notFound(resource, name);
  const old = stored && resource.fromStorage(stored);
  const live: KubeObject = old
    ? structuredClone(old)
    : { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: { name } };
  const options = {
    manager: context.fieldManager,
    force: request.force,
    ...(part === 'status' ? { subresource: 'status' } : {}),
  };
  const resourceVersion = metadata['resourceVersion'];
  const merged = serverSideApply(resource, applySchema(resource), live, applied, options);
  if (!old) return { object: createObject(api, resource, namespace, merged, context), isNew: true };
  if (typeof resourceVersion === 'string') merged.metadata.resourceVersion = resourceVersion;
  return { object: store(api, resource, part, merged, old, context), isNew: false };
}

/** Schemas of custom resources say nothing about metadata: its lists are merged as everywhere. */
function applySchema(resource: Resource): Resource['schema'] {
  if (!resource.isCustom) return resource.schema;
  const { schema } = resource;
  return { ...schema, properties: { ...schema.properties, metadata: builtinSchema('V1ObjectMeta') } };
}
