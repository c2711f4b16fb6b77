import type { Api } from '../api.js';
import { jsonOf, type KubeObject } from '../kube-object.js';
import { apiVersionOf, type Resource } from '../resources/resource.js';
import { badRequest, expiredContinue } from '../status-error.js';
import { keyOf } from '../storage/store.js';
import { readContinue, writeContinue } from './continue-token.js';
import { parseSelectors } from './selectors.js';

export interface ListMeta {
  resourceVersion: string;
  continue?: string;
  remainingItemCount?: number;
}

export interface Listed {
  items: KubeObject[];
  metadata: ListMeta;
}

/**
 * The objects that a request selects. Pages after the first show the state as it is then, under the version of the
 * first page; a watch from that version brings whoever lists in pages to the right state.
 */
export function listObjects(
  api: Api,
  resource: Resource,
  namespace: string | undefined,
  query: URLSearchParams,
): Listed {
  const selects = parseSelectors(resource, query);
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest(`invalid limit: ${query.get('limit')}`);
  const token = readContinue(query.get('continue'));
  if (token?.version !== undefined && !api.store.remembers(resource.storage, token.version)) {
    throw expiredContinue(writeContinue({ version: undefined, after: token.after }));
  }
  const version = token?.version ?? api.store.version;
  const items: KubeObject[] = [];
  let more: KubeObject | undefined;
  let remaining = 0;
  for (const stored of api.store.list(resource.storage, namespace, token?.after)) {
    const object = resource.fromStorage(stored);
    if (selects && !selects(object)) continue;
    if (limit > 0 && items.length === limit) {
      more ??= object;
      remaining++;
      if (selects) break;
    } else {
      items.push(object);
    }
  }
  const metadata: ListMeta = { resourceVersion: String(version) };
  if (more) {
    const last = items[items.length - 1]!;
    metadata.continue = writeContinue({ version, after: keyOf(last.metadata.namespace, last.metadata.name) });
    if (!selects) metadata.remainingItemCount = remaining;
  }
  return { items, metadata };
}

/** A list as JSON, from the kept JSON of its objects. */
export function listJson(resource: Resource, listed: Listed): string {
  const head = JSON.stringify({
    kind: resource.listKind,
    apiVersion: apiVersionOf(resource),
    metadata: listed.metadata,
  });
  return `${head.slice(0, -1)},"items":[${listed.items.map(jsonOf).join(',')}]}`;
}
