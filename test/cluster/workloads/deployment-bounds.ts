/** How many pods a rollout may have at most and must keep available (deployment_util.go, ResolveFenceposts). */
import type { Deployment, ReplicaSet } from './types.js';

export interface Bounds {
  max: number;
  minAvailable: number;
  maxUnavailable: number;
}

export function bounds(deployment: Deployment): Bounds {
  const replicas = deployment.spec?.replicas ?? 1;
  const { type, rollingUpdate } = deployment.spec?.strategy ?? {};
  if (type === 'Recreate' || replicas === 0)
    return { max: replicas, minAvailable: replicas, maxUnavailable: 0 };
  const surge = scaledValue(rollingUpdate?.maxSurge ?? '25%', replicas, Math.ceil);
  const unavailable = scaledValue(rollingUpdate?.maxUnavailable ?? '25%', replicas, Math.floor);
  // Neither more nor fewer would mean standing still.
  const maxUnavailable = Math.min(surge === 0 && unavailable === 0 ? 1 : unavailable, replicas);
  return { max: replicas + surge, minAvailable: replicas - maxUnavailable, maxUnavailable };
}

/** An IntOrString against a total. */
export function scaledValue(value: unknown, total: number, round: (value: number) => number): number {
  const text = String(value);
  return text.endsWith('%') ? round((Number(text.slice(0, -1)) * total) / 100) : Number(text);
}

export const availability = (rs: ReplicaSet): number => rs.status?.availableReplicas ?? 0;
