/** ReplicaSet (k8s.io/kubernetes/pkg/controller/replicaset): as many pods as it says. */
import { messageOf } from '../../../common/errors.js';
import type { KubeObject, Pod } from '../../../common/kube/types.js';
import { sameJson } from '../apiserver/kube-object.js';
import { timestamp } from '../apiserver/time.js';
import type { Requeue } from '../../../controller/queue.js';
import { controlledBy, controllerOf } from './caches.js';
import { isActive, isAvailable, isEnding, isFinished, isReady, untilAvailableMs } from './pods.js';
import { podsToDelete } from './ranking.js';
import { PodControl, type Controller, type Shell } from './shell.js';
import type { ReplicaSet } from './types.js';

/** More pods than that are not created or deleted at once. */
const burst = 500;

export interface ReplicaSetDecision {
  create: number;
  delete: Pod[];
}

/** What is missing or too much. `related` are the active pods of all ReplicaSets of the same Deployment. */
export function decideReplicaSet(
  rs: ReplicaSet,
  pods: Pod[],
  related: Pod[],
  nowMs: number,
): ReplicaSetDecision {
  const active = pods.filter(isActive);
  const difference = active.length - (rs.spec?.replicas ?? 1);
  if (rs.metadata.deletionTimestamp || difference === 0) return { create: 0, delete: [] };
  if (difference < 0) return { create: Math.min(burst, -difference), delete: [] };
  return { create: 0, delete: podsToDelete(active, related, Math.min(burst, difference), nowMs) };
}

export function replicaSetStatus(
  rs: ReplicaSet,
  pods: Pod[],
  failure: { reason: string; message: string } | undefined,
  nowMs: number,
): NonNullable<ReplicaSet['status']> {
  const active = pods.filter(isActive);
  const wanted = Object.entries(
    (rs.spec?.template?.metadata as { labels?: Record<string, string> } | undefined)?.labels ?? {},
  );
  const count = (fits: (pod: Pod) => boolean): number => active.filter(fits).length;
  const old = rs.status?.conditions ?? [];
  const others = old.filter(({ type }) => type !== 'ReplicaFailure');
  const known = old.find(({ type }) => type === 'ReplicaFailure');
  const condition = failure && {
    type: 'ReplicaFailure',
    status: 'True',
    ...failure,
    lastTransitionTime: known?.lastTransitionTime ?? timestamp(nowMs),
  };
  const conditions = condition ? [...others, condition] : others;
  const counts = {
    fullyLabeledReplicas: count((pod) =>
      wanted.every(([key, value]) => pod.metadata.labels?.[key] === value),
    ),
    readyReplicas: count(isReady),
    availableReplicas: count((pod) => isAvailable(pod, rs.spec?.minReadySeconds ?? 0, nowMs)),
  };
  return {
    replicas: active.length,
    // The API leaves out these counts when they are 0.
    ...Object.fromEntries(Object.entries(counts).filter(([, value]) => value > 0)),
    terminatingReplicas: pods.filter((pod) => isEnding(pod) && !isFinished(pod)).length,
    observedGeneration: rs.metadata.generation!,
    ...(conditions.length > 0 ? { conditions } : {}),
  };
}

export function replicaSetController(shell: Shell): Controller {
  const { caches, clients } = shell;
  const name = 'replicaset-controller';
  const control = new PodControl(shell, clients.replicaSets as never, name);
  const selectorOf = (owner: KubeObject): unknown => (owner as ReplicaSet).spec?.selector;

  async function sync(key: string): Promise<Requeue | void> {
    const rs = caches.replicaSets.get(key);
    if (!rs) return control.expectations.forget(key);
    const isSettled = control.expectations.areFulfilled(key);
    const pods = await control.claim(rs, rs.spec?.selector);
    let failure: unknown;
    if (isSettled) {
      try {
        await manage(rs, key, pods);
      } catch (error) {
        failure = error;
      }
    }
    const now = shell.now();
    const status = replicaSetStatus(rs, pods, failureOf(rs, pods, failure), now);
    if (!sameJson(status, rs.status)) await clients.replicaSets.replaceStatus({ ...rs, status });
    if (failure) throw failure;
    return soonAvailable(pods, rs.spec?.minReadySeconds ?? 0, now);
  }

  async function manage(rs: ReplicaSet, key: string, pods: Pod[]): Promise<void> {
    const decision = decideReplicaSet(rs, pods, relatedPods(rs), shell.now());
    const template = rs.spec?.template ?? {};
    await control.create(
      rs,
      key,
      Array.from({ length: decision.create }, () => control.fromTemplate(rs, template)),
    );
    await control.delete(rs, key, decision.delete);
  }

  function relatedPods(rs: ReplicaSet): Pod[] {
    const owner = controllerOf(rs);
    const sets = owner
      ? caches.replicaSets.list().filter((other) => controllerOf(other)?.uid === owner.uid)
      : [rs];
    return sets.flatMap((set) => controlledBy(caches.pods, set)).filter(isActive);
  }

  return {
    name,
    sync,
    keysOf(change) {
      if (change.kind === 'ReplicaSet') return [keyOfChange(change)];
      if (change.kind === 'Pod') return control.keysOf(change, selectorOf, () => caches.replicaSets.list());
      return [];
    },
  };
}

export function keyOfChange({ object, old }: { object?: KubeObject; old?: KubeObject }): string {
  const { namespace, name } = (object ?? old)!.metadata;
  return `${namespace}/${name}`;
}

function failureOf(
  rs: ReplicaSet,
  pods: Pod[],
  error: unknown,
): { reason: string; message: string } | undefined {
  if (error === undefined) return undefined;
  const isShort = pods.filter(isActive).length < (rs.spec?.replicas ?? 1);
  return { reason: isShort ? 'FailedCreate' : 'FailedDelete', message: messageOf(error) };
}

/** When the next ready pod becomes available. */
export function soonAvailable(pods: Pod[], minReadySeconds: number, nowMs: number): Requeue | undefined {
  const waits = pods
    .filter(isActive)
    .map((pod) => untilAvailableMs(pod, minReadySeconds, nowMs) ?? 0)
    .filter((ms) => ms > 0);
  return waits.length > 0 ? { afterMs: Math.min(...waits) } : undefined;
}
