import { ApiError, ApiUnreachable } from '../common/kube/api-error.js';
import type { ResourceClient } from '../common/kube/client.js';
import type { KubeObject } from '../common/kube/types.js';
import { pause } from './pause.js';

export type Sighting<T> =
  | { type: 'state'; object: T }
  /** The object was deleted. */
  | { type: 'gone' }
  /** The connection is lost; it is tried again until the caller stops. */
  | { type: 'lost'; error: Error };

/** The server ends a watch after this many seconds, and we begin a new one. */
const WATCH_SECONDS = 240;
/** How often it is asked where watching is not allowed. */
const POLL_MS = 500;
const RETRY_MS = { first: 250, most: 5000 };

/**
 * One object from now on: its state now, each later one, its deletion. Survives ended watches, expired resource versions and
 * lost connections. Ends when the object is gone or `signal` aborts; throws what the server refuses for good.
 */
export async function* follow<T extends KubeObject>(
  resource: ResourceClient<T>,
  name: string,
  namespace: string,
  signal: AbortSignal,
): AsyncGenerator<Sighting<T>> {
  let uid: string | undefined;
  let seen = '';
  let mayWatch = true;
  let retryMs = RETRY_MS.first;

  while (!signal.aborted) {
    try {
      const object = await resource.find(name, namespace);
      retryMs = RETRY_MS.first;
      // A namesake that was made since is another object.
      if (!object || (uid !== undefined && object.metadata.uid !== uid)) {
        yield { type: 'gone' };
        return;
      }
      uid = object.metadata.uid;
      if (object.metadata.resourceVersion !== seen) {
        seen = object.metadata.resourceVersion ?? '';
        yield { type: 'state', object };
      }
      if (!mayWatch) {
        await pause(POLL_MS, signal);
        continue;
      }
      const query = {
        namespace,
        fieldSelector: `metadata.name=${name}`,
        resourceVersion: seen,
        timeoutSeconds: WATCH_SECONDS,
        allowWatchBookmarks: true,
      };
      const began = Date.now();
      for await (const event of resource.watch(query, signal)) {
        if (event.type === 'BOOKMARK') continue;
        if (event.type === 'DELETED') {
          yield { type: 'gone' };
          return;
        }
        seen = event.object.metadata.resourceVersion ?? '';
        yield { type: 'state', object: event.object };
      }
      // A server that ends every watch at once must not be asked in a tight loop.
      if (Date.now() - began < POLL_MS) await pause(POLL_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.isExpired) continue;
      if (error instanceof ApiError && (error.isForbidden || error.code === 405) && mayWatch && uid) {
        mayWatch = false;
        continue;
      }
      const passing = error instanceof ApiUnreachable || (error instanceof ApiError && error.isTransient);
      if (!passing) throw error;
      yield { type: 'lost', error };
      await pause(retryMs, signal);
      retryMs = Math.min(RETRY_MS.most, retryMs * 2);
    }
  }
}
