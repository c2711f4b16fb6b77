/** The end of old events. */
import type { Api } from '../api.js';
import type { KubeObject } from '../kube-object.js';

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
