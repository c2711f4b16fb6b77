/** What controllers ask about pods. */
import type { Pod } from '../../../common/kube/types.js';

function condition(pod: Pod, type: string) {
  return pod.status?.conditions?.find((one) => one.type === type);
}

export function isReady(pod: Pod): boolean {
  return condition(pod, 'Ready')?.status === 'True';
}

export function readySince(pod: Pod): string | undefined {
  return condition(pod, 'Ready')?.lastTransitionTime;
}

/** Milliseconds until a ready pod counts as available; 0 when it is, undefined when it is not ready. */
export function untilAvailableMs(pod: Pod, minReadySeconds: number, nowMs: number): number | undefined {
  if (!isReady(pod)) return undefined;
  if (minReadySeconds === 0) return 0;
  return Math.max(0, Date.parse(readySince(pod) ?? '') + minReadySeconds * 1000 - nowMs);
}

export function isAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  return untilAvailableMs(pod, minReadySeconds, nowMs) === 0;
}

export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

export function isEnding(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

/** Neither over nor about to be. */
export function isActive(pod: Pod): boolean {
  return !isFinished(pod) && !isEnding(pod);
}

/** The largest number of restarts of a container; sidecars count. */
export function restartsOf(pod: Pod): number {
  return Math.max(0, ...(pod.status?.containerStatuses ?? []).map((one) => one.restartCount ?? 0));
}

export function byCreation(
  a: { metadata: { creationTimestamp?: string; name: string } },
  b: { metadata: { creationTimestamp?: string; name: string } },
): number {
  const times =
    Date.parse(a.metadata.creationTimestamp ?? '') - Date.parse(b.metadata.creationTimestamp ?? '');
  return times || (a.metadata.name < b.metadata.name ? -1 : 1);
}
