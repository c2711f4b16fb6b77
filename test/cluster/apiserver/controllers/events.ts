/** Events that the control plane itself tells, and the end of old ones. */
import { builtinResource, systemContext, type Api } from '../api.js';
import type { KubeObject } from '../kube-object.js';
import { timestamp } from '../time.js';
import { createObject } from '../verbs/create.js';

export interface EventText {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

/** Records an event about an object, once more for one that repeats. */
export function recordEvent(api: Api, component: string, about: KubeObject, event: EventText): void {
  const namespace = about.metadata.namespace ?? 'default';
  const { name, uid } = about.metadata;
  const now = timestamp();
  for (const known of api.store.list('/events', namespace)) {
    const involved = known['involvedObject'] as { uid?: string } | undefined;
    const isSame =
      involved?.uid === uid && known['reason'] === event.reason && known['message'] === event.message;
    if (!isSame) continue;
    api.store.put('/events', { ...known, count: Number(known['count'] ?? 1) + 1, lastTimestamp: now });
    return;
  }
  const home = api.store.get('/namespaces', undefined, namespace);
  if (!home || home.metadata.deletionTimestamp) return;
  createObject(
    api,
    builtinResource(api, '/events'),
    namespace,
    {
      metadata: {
        name: `${name}.${(BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n)).toString(16)}`,
      },
      involvedObject: {
        kind: about.kind,
        apiVersion: about.apiVersion,
        namespace: about.metadata.namespace,
        name,
        uid,
        resourceVersion: about.metadata.resourceVersion,
      },
      ...event,
      source: { component },
      reportingComponent: component,
      reportingInstance: '',
      firstTimestamp: now,
      lastTimestamp: now,
      eventTime: null,
      count: 1,
    },
    systemContext(component),
  );
}

/** The default of --event-ttl. */
const defaultTtlMs = 60 * 60_000;
const sweepIntervalMs = 60_000;

export function expireEvents(api: Api, ttlMs = defaultTtlMs): () => void {
  const timer = setInterval(() => sweepEvents(api, Date.now() - ttlMs), sweepIntervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Removes the events that were last written before a moment. */
export function sweepEvents(api: Api, beforeMs: number): void {
  const old = [...api.store.list('/events')].filter((event) => lastWrittenMs(event) < beforeMs);
  for (const { metadata } of old) api.store.remove('/events', metadata.namespace, metadata.name);
}

function lastWrittenMs(event: KubeObject): number {
  const times = [event['lastTimestamp'], event['eventTime'], event.metadata.creationTimestamp];
  return Math.max(...times.map((time) => (typeof time === 'string' ? Date.parse(time) : 0)));
}
