/** Status and conditions of a Deployment, as kubectl rollout status and kubectl wait read them (progress.go, sync.go). */
import { timestamp } from '../apiserver/time.js';
import { availability, bounds } from './deployment-bounds.js';
import type { Deployment, ReplicaSet } from './types.js';

type Status = NonNullable<Deployment['status']>;
type Condition = NonNullable<Status['conditions']>[number];

export interface Progress {
  reason: string;
  message: string;
}

/** No deadline (deployment_util.go, HasProgressDeadline). */
const never = 2 ** 31 - 1;

function deadlineOf(deployment: Deployment): number | undefined {
  const seconds = deployment.spec?.progressDeadlineSeconds;
  return seconds === undefined || seconds === never ? undefined : seconds;
}

const find = (conditions: Condition[] | undefined, type: string): Condition | undefined =>
  conditions?.find((one) => one.type === type);

/** The list with a condition put in its place; one of the same status and reason stays as it is. */
function put(
  conditions: Condition[],
  next: Omit<Condition, 'lastTransitionTime' | 'lastUpdateTime'>,
  nowMs: number,
): Condition[] {
  const known = find(conditions, next.type);
  if (known?.status === next.status && known.reason === next.reason) return conditions;
  const lastTransitionTime = known?.status === next.status ? known.lastTransitionTime : timestamp(nowMs);
  const condition = { ...next, lastUpdateTime: timestamp(nowMs), lastTransitionTime } as Condition;
  return [...conditions.filter(({ type }) => type !== next.type), condition];
}

/** Counts, availability, and whether it is paused; what a rollout has come to is added by rolloutStatus. */
export function statusOf(
  deployment: Deployment,
  sets: ReplicaSet[],
  newSet: ReplicaSet | undefined,
  nowMs: number,
): Status {
  const sum = (of: (rs: ReplicaSet) => number): number => sets.reduce((total, rs) => total + of(rs), 0);
  const replicas = deployment.spec?.replicas ?? 1;
  const available = sum(availability);
  const unavailable = Math.max(0, sum((rs) => rs.spec?.replicas ?? 1) - available);
  const { minAvailable } = bounds(deployment);
  const isAvailable = available >= (deployment.spec?.strategy?.type === 'Recreate' ? replicas : minAvailable);
  let conditions = put(
    deployment.status?.conditions ?? [],
    isAvailable
      ? {
          type: 'Available',
          status: 'True',
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        }
      : {
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        },
    nowMs,
  );
  conditions = pausedCondition(deployment, conditions, nowMs);
  const positive = {
    readyReplicas: sum((rs) => rs.status?.readyReplicas ?? 0),
    availableReplicas: available,
  };
  const counts = {
    replicas: sum((rs) => rs.status?.replicas ?? 0),
    updatedReplicas: newSet?.status?.replicas ?? 0,
    unavailableReplicas: unavailable,
    ...positive,
  };
  const { collisionCount } = deployment.status ?? {};
  return {
    observedGeneration: deployment.metadata.generation!,
    // The API leaves out counts of 0.
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    terminatingReplicas: sum((rs) => rs.status?.terminatingReplicas ?? 0),
    ...(collisionCount ? { collisionCount } : {}),
    conditions,
  };
}

function pausedCondition(deployment: Deployment, conditions: Condition[], nowMs: number): Condition[] {
  if (deadlineOf(deployment) === undefined) return conditions;
  const known = find(conditions, 'Progressing');
  if (known?.reason === 'ProgressDeadlineExceeded') return conditions;
  const paused = { type: 'Progressing', status: 'Unknown' };
  if (deployment.spec?.paused && known?.reason !== 'DeploymentPaused') {
    return put(conditions, { ...paused, reason: 'DeploymentPaused', message: 'Deployment is paused' }, nowMs);
  }
  if (!deployment.spec?.paused && known?.reason === 'DeploymentPaused') {
    return put(
      conditions,
      { ...paused, reason: 'DeploymentResumed', message: 'Deployment is resumed' },
      nowMs,
    );
  }
  return conditions;
}

export function isComplete(deployment: Deployment, status: Status): boolean {
  const replicas = deployment.spec?.replicas ?? 1;
  return (
    (status.updatedReplicas ?? 0) === replicas &&
    (status.replicas ?? 0) === replicas &&
    (status.availableReplicas ?? 0) === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function hasProgressed(old: Status, status: Status): boolean {
  const count = (value: number | undefined): number => value ?? 0;
  const oldOf = (one: Status): number => count(one.replicas) - count(one.updatedReplicas);
  return (
    count(status.updatedReplicas) > count(old.updatedReplicas) ||
    oldOf(status) < oldOf(old) ||
    count(status.readyReplicas) > count(old.readyReplicas) ||
    count(status.availableReplicas) > count(old.availableReplicas)
  );
}

/** The status of a Deployment that rolls out. `progress`: what was found or made in this turn. */
export function rolloutStatus(
  deployment: Deployment,
  sets: ReplicaSet[],
  newSet: ReplicaSet | undefined,
  progress: Progress | undefined,
  nowMs: number,
): Status {
  const status = statusOf(deployment, sets, newSet, nowMs);
  let conditions = status.conditions!;
  if (deadlineOf(deployment) === undefined) {
    conditions = conditions.filter(({ type }) => type !== 'Progressing');
  } else {
    const isNew = newSet !== undefined && newSet.metadata.uid === undefined;
    if (progress && (isNew || !find(conditions, 'Progressing'))) {
      conditions = put(conditions, { type: 'Progressing', status: 'True', ...progress }, nowMs);
    }
    conditions = progressing(deployment, status, conditions, newSet, nowMs);
  }
  const failure = sets
    .flatMap((rs) => rs.status?.conditions ?? [])
    .find(({ type }) => type === 'ReplicaFailure');
  conditions = conditions.filter(({ type }) => type !== 'ReplicaFailure');
  if (failure) {
    const { status: failed, reason, message } = failure;
    conditions = put(
      conditions,
      { type: 'ReplicaFailure', status: failed, reason: reason!, message: message! },
      nowMs,
    );
  }
  return { ...status, conditions };
}

function progressing(
  deployment: Deployment,
  status: Status,
  conditions: Condition[],
  newSet: ReplicaSet | undefined,
  nowMs: number,
): Condition[] {
  const known = find(conditions, 'Progressing');
  const wasComplete =
    (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && known?.reason === 'NewReplicaSetAvailable';
  if (wasComplete) return conditions;
  const what = newSet ? `ReplicaSet "${newSet.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  if (isComplete(deployment, status)) {
    const done = { reason: 'NewReplicaSetAvailable', message: `${what} has successfully progressed.` };
    return put(conditions, { type: 'Progressing', status: 'True', ...done }, nowMs);
  }
  if (hasProgressed(deployment.status ?? {}, status)) {
    const condition = {
      type: 'Progressing',
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message: `${what} is progressing.`,
    };
    // Every step forward renews the time from which the deadline counts.
    const others = conditions.filter(({ type }) => type !== 'Progressing');
    const lastTransitionTime = known?.status === 'True' ? known.lastTransitionTime : timestamp(nowMs);
    return [...others, { ...condition, lastUpdateTime: timestamp(nowMs), lastTransitionTime } as Condition];
  }
  if (hasTimedOut(deployment, known, nowMs)) {
    const late = { reason: 'ProgressDeadlineExceeded', message: `${what} has timed out progressing.` };
    return put(conditions, { type: 'Progressing', status: 'False', ...late }, nowMs);
  }
  return conditions;
}

function hasTimedOut(deployment: Deployment, known: Condition | undefined, nowMs: number): boolean {
  const seconds = deadlineOf(deployment);
  if (!known || seconds === undefined || known.reason === 'NewReplicaSetAvailable') return false;
  if (known.reason === 'ProgressDeadlineExceeded') return true;
  return Date.parse(known.lastUpdateTime ?? '') + seconds * 1000 < nowMs;
}

/** Milliseconds until the deadline is to be looked at again; undefined when nothing is awaited. */
export function nextCheckMs(deployment: Deployment, nowMs: number): number | undefined {
  const seconds = deadlineOf(deployment);
  const known = find(deployment.status?.conditions, 'Progressing');
  const isOver = known?.reason === 'NewReplicaSetAvailable' || known?.reason === 'ProgressDeadlineExceeded';
  if (seconds === undefined || !known || isOver || deployment.spec?.paused) return undefined;
  return Math.max(1000, Date.parse(known.lastUpdateTime ?? '') + seconds * 1000 + 1000 - nowMs);
}
