/** Checks that the body of a write is of the right kind and decodes it. */
import { isFields, type Fields, type KubeObject, type ObjectMeta } from '../kube-object.js';
import { apiVersionOf, type RequestContext, type Resource } from '../resources/resource.js';
import { builtinSchema } from '../schema/builtin-schema.js';
import { decodeBuiltin } from '../schema/decode.js';
import { badRequest } from '../status-error.js';

/**
 * The body as an object of the resource: defaults filled in, unknown fields dropped (and refused or warned of, as the
 * request wants). Changes `body` in place.
 */
export function decodeIncoming(resource: Resource, body: unknown, context: RequestContext): KubeObject {
  if (!isFields(body)) throw badRequest('the body of the request is not an object');
  const apiVersion = apiVersionOf(resource);
  checkKind(resource, body, apiVersion);
  const what = `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}`;
  body['apiVersion'] = apiVersion;
  body['kind'] = resource.kind;
  const metadata = isFields(body['metadata']) ? body['metadata'] : {};
  body['metadata'] = metadata;
  const dropped = decodeMetadata(metadata, what);
  const object = body as KubeObject;
  dropped.push(...(resource.isCustom ? resource.decode(object) : decodeTyped(resource, object, what)));
  complain(dropped, what, context);
  return object;
}

function checkKind(resource: Resource, body: Fields, apiVersion: string): void {
  const { apiVersion: version, kind } = body;
  if (resource.isCustom && (!version || !kind)) {
    throw badRequest(`Object 'Kind' is missing in '${JSON.stringify(body)}'`);
  }
  if (version && version !== apiVersion) {
    throw badRequest(
      `the API version in the data (${String(version)}) does not match the expected API version (${apiVersion})`,
    );
  }
  if (kind && kind !== resource.kind) {
    throw badRequest(
      `${String(kind)} in version "${resource.version}" cannot be handled as a ${resource.kind}: converting (v1.${String(kind)}) to (v1.${resource.kind}): unknown conversion`,
    );
  }
}

function decodeMetadata(metadata: Fields, what: string): string[] {
  const dropped = decodeBuiltin(builtinSchema('V1ObjectMeta'), metadata, what);
  if (typeof metadata['name'] !== 'string') metadata['name'] = '';
  for (const field of ['labels', 'annotations', 'ownerReferences', 'finalizers'] as const) {
    const value = (metadata as unknown as ObjectMeta)[field];
    if (value !== undefined && Object.keys(value).length === 0) delete metadata[field];
  }
  return dropped.filter((field) => field !== 'selfLink').map((field) => `metadata.${field}`);
}

function decodeTyped(resource: Resource, object: KubeObject, what: string): string[] {
  const { metadata, apiVersion, kind, ...rest } = object;
  const dropped = decodeBuiltin(resource.schema, rest, what);
  for (const field of Object.keys(object)) if (!(field in rest)) delete object[field];
  Object.assign(object, rest, { apiVersion, kind, metadata });
  resource.decode(object);
  return dropped;
}

function complain(dropped: string[], what: string, context: RequestContext): void {
  if (dropped.length === 0) return;
  switch (context.fieldValidation) {
    case 'Ignore':
      return;
    case 'Warn':
      for (const field of dropped) context.warn(`unknown field "${field}"`);
      return;
    case 'Strict': {
      const list = dropped.map((field) => `unknown field "${field}"`).join(', ');
      throw badRequest(`${what}: strict decoding error: ${list}`);
    }
  }
}
