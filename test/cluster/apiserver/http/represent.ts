/** Turns objects and lists into the representation that the client wants. */
import { jsonOf, type KubeObject } from '../kube-object.js';
import type { Resource } from '../resources/resource.js';
import { badRequest } from '../status-error.js';
import { partialMetadata, toTable, type TableOptions } from '../tables/table.js';
import { listJson, type Listed } from '../verbs/list.js';
import { plainEncoder, type WatchEncoder } from '../verbs/watch.js';
import type { Representation } from './negotiate.js';

export function includeObject(query: URLSearchParams): TableOptions['includeObject'] {
  const value = query.get('includeObject') ?? 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw badRequest(`unrecognized includeObject value: ${JSON.stringify(value)}`);
}

export function objectJson(
  resource: Resource,
  object: KubeObject,
  as: Representation,
  query: URLSearchParams,
): string {
  switch (as) {
    case 'object':
      return jsonOf(object);
    case 'partial':
      return JSON.stringify(partialMetadata(object));
    case 'table':
      return JSON.stringify(
        toTable(
          resource.table,
          [object],
          { resourceVersion: object.metadata.resourceVersion },
          { includeObject: includeObject(query), withColumns: true },
        ),
      );
  }
}

export function listedJson(
  resource: Resource,
  listed: Listed,
  as: Representation,
  query: URLSearchParams,
): string {
  switch (as) {
    case 'object':
      return listJson(resource, listed);
    case 'partial':
      return JSON.stringify({
        kind: 'PartialObjectMetadataList',
        apiVersion: 'meta.k8s.io/v1',
        metadata: listed.metadata,
        items: listed.items.map(partialMetadata),
      });
    case 'table':
      return JSON.stringify(
        toTable(
          resource.table,
          listed.items,
          { ...listed.metadata },
          { includeObject: includeObject(query), withColumns: true },
        ),
      );
  }
}

export function watchEncoder(resource: Resource, as: Representation, query: URLSearchParams): WatchEncoder {
  switch (as) {
    case 'object':
      return plainEncoder;
    case 'partial':
      return {
        object: (object) => JSON.stringify(partialMetadata(object)),
        bookmark: (object) =>
          JSON.stringify({ ...object, kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' }),
      };
    case 'table':
      return tableEncoder(resource, query);
  }
}

/** Each event is a table of one row; only the first names the columns. */
function tableEncoder(resource: Resource, query: URLSearchParams): WatchEncoder {
  const include = includeObject(query);
  let withColumns = true;
  const table = (objects: KubeObject[], metadata: Record<string, unknown>) => {
    const json = JSON.stringify(
      toTable(resource.table, objects, metadata, { includeObject: include, withColumns }),
    );
    withColumns = false;
    return json;
  };
  return {
    object: (object) => table([object], { resourceVersion: object.metadata.resourceVersion }),
    bookmark: (object) => table([], object['metadata'] as Record<string, unknown>),
  };
}
