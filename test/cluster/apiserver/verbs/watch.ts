/** One watch: what a client gets to see of the changes of a resource, in its own representation. */
import type { Api } from '../api.js';
import { jsonOf, type KubeObject } from '../kube-object.js';
import { apiVersionOf, type Resource } from '../resources/resource.js';
import { badRequest, expired, fieldError, invalid } from '../status-error.js';
import type { Change, ChangeType } from '../storage/store.js';
import { parseSelectors, type Predicate } from './selectors.js';

/** How often a quiet watch is told the current version, as by the real server about once a minute. */
const bookmarkIntervalMs = 60_000;
/** A last one comes that long before the watch ends, if it lasts longer (k8s.io/apiserver/pkg/storage/cacher). */
const lastBookmarkMs = 2000;

export interface WatchSink {
  /** One line of the stream. */
  send(line: string): void;
  end(): void;
  onClose(callback: () => void): void;
}

/** How objects are shown: as they are, as rows of a table, or their metadata alone. */
export interface WatchEncoder {
  object(object: KubeObject): string;
  bookmark(object: Record<string, unknown>): string;
}

export function watchObjects(
  api: Api,
  resource: Resource,
  namespace: string | undefined,
  query: URLSearchParams,
  encoder: WatchEncoder,
  open: () => WatchSink,
): void {
  const wanted = selection(resource, namespace, query);
  const from = query.get('resourceVersion') ?? '';
  const initialEvents = wantsInitialEvents(query, from);
  const backlog = initialEvents ? undefined : backlogSince(api, resource, from);
  const sink = open();
  const send = (type: ChangeType, object: KubeObject) =>
    sink.send(`{"type":"${type}","object":${encoder.object(object)}}\n`);
  const sendBookmark = (annotations?: Record<string, string>) => {
    const bookmark = {
      kind: resource.kind,
      apiVersion: apiVersionOf(resource),
      metadata: {
        resourceVersion: String(api.store.version),
        creationTimestamp: null,
        ...(annotations ? { annotations } : {}),
      },
    };
    sink.send(`{"type":"BOOKMARK","object":${encoder.bookmark(bookmark)}}\n`);
  };
  const show = (change: Change) => {
    const next = wanted(resource, change.type === 'DELETED' ? undefined : change.object);
    const before = wanted(resource, change.previous);
    // An object that begins or ceases to match is added or deleted, for this watch.
    if (next) send(before ? 'MODIFIED' : 'ADDED', next);
    else if (before) send('DELETED', resource.fromStorage(withVersion(change)));
  };

  if (backlog) {
    backlog.forEach(show);
  } else {
    for (const stored of api.store.list(resource.storage, namespace)) {
      const object = wanted(resource, stored);
      if (object) send('ADDED', object);
    }
    if (initialEvents === 'with bookmark') sendBookmark({ 'k8s.io/initial-events-end': 'true' });
  }

  const unsubscribe = api.store.subscribe(resource.storage, show);
  const wantsBookmarks =
    query.get('allowWatchBookmarks') === 'true' || query.get('allowWatchBookmarks') === '1';
  const bookmarks = wantsBookmarks ? setInterval(() => sendBookmark(), bookmarkIntervalMs) : undefined;
  const timeoutSeconds = Number(query.get('timeoutSeconds') ?? 0);
  // Without a timeout of its own a watch ends after 30 to 60 minutes, so that clients spread out.
  const lifetimeMs = timeoutSeconds > 0 ? timeoutSeconds * 1000 : (1 + Math.random()) * 30 * 60_000;
  const hasLast = wantsBookmarks && lifetimeMs > lastBookmarkMs;
  const last = hasLast ? setTimeout(() => sendBookmark(), lifetimeMs - lastBookmarkMs) : undefined;
  // A client that does not read (its link is cut) has not heard of the end when the next event comes, so the connection lives.
  const timeout = setTimeout(() => {
    stop();
    sink.end();
  }, lifetimeMs);
  const stop = () => {
    unsubscribe();
    clearInterval(bookmarks);
    clearTimeout(timeout);
    clearTimeout(last);
  };
  sink.onClose(stop);
}

/** Whether a stored object is one that the watch selects; if so, as it is served. */
function selection(
  resource: Resource,
  namespace: string | undefined,
  query: URLSearchParams,
): (resource: Resource, stored: KubeObject | undefined) => KubeObject | undefined {
  const selects: Predicate | undefined = parseSelectors(resource, query);
  return (of, stored) => {
    if (!stored) return undefined;
    if (namespace !== undefined && stored.metadata.namespace !== namespace) return undefined;
    const object = of.fromStorage(stored);
    return !selects || selects(object) ? object : undefined;
  };
}

/** What a deletion shows: the object as it was last, under the version of the change. */
function withVersion(change: Change): KubeObject {
  if (change.type === 'DELETED') return change.object;
  const previous = change.previous ?? change.object;
  return {
    ...previous,
    metadata: { ...previous.metadata, resourceVersion: String(change.version) },
  };
}

function wantsInitialEvents(query: URLSearchParams, from: string): 'plain' | 'with bookmark' | undefined {
  const asked = query.get('sendInitialEvents');
  if (asked === null) return from === '' || from === '0' ? 'plain' : undefined;
  const match = query.get('resourceVersionMatch');
  if (match !== 'NotOlderThan') {
    throw invalid({ group: 'meta.k8s.io', plural: 'listoptions', kind: 'ListOptions' }, '', [
      fieldError.forbidden(
        'resourceVersionMatch',
        'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      ),
    ]);
  }
  if (asked !== 'true') return from === '' || from === '0' ? undefined : undefined;
  return 'with bookmark';
}

function backlogSince(api: Api, resource: Resource, from: string): Change[] {
  // sendInitialEvents=false without a version: begin with what happens from now on.
  if (from === '' || from === '0') return [];
  const version = Number(from);
  if (!Number.isInteger(version) || version < 0) {
    throw badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(from)}: strconv.ParseUint: invalid syntax`,
    );
  }
  const changes = api.store.since(resource.storage, version);
  if (!changes) throw expired(`too old resource version: ${from} (${api.store.version})`);
  return changes;
}

/** Objects as they are. The kept JSON is shared between all the watches that send it. */
export const plainEncoder: WatchEncoder = {
  object: jsonOf,
  bookmark: (object) => JSON.stringify(object),
};
