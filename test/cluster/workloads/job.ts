/** Job: pods that run to their end, each counted exactly once. */
import { ApiError } from '../../../common/kube/api-error.js';
import type { Pod } from '../../../common/kube/types.js';
import type { Requeue } from '../../../controller/queue.js';
import { sameJson } from '../apiserver/kube-object.js';
import { decideJob, jobIsOver, trackingFinalizer } from './job-decide.js';
import { indexAnnotation } from './job-index.js';
import { isFinished } from './pods.js';
import { keyOfChange } from './replicaset.js';
import { PodControl, type Controller, type Shell } from './shell.js';
import type { Job } from './types.js';

export function jobController(shell: Shell): Controller {
  const { caches, clients } = shell;
  const control = new PodControl(shell, clients.jobs as never, 'job-controller');
  const { jobBackoffMs = 10_000, jobBatchMs = 1000 } = shell.options;
  /** When a Job was last looked at: changes of its pods are gathered for a while. */
  const looked = new Map<string, number>();
  /** Pods whose finalizer was taken off; the copy may still show it. */
  const untracked = new Set<string>();

  async function sync(key: string): Promise<Requeue | void> {
    const job = caches.jobs.get(key);
    if (!job) {
      looked.delete(key);
      control.expectations.forget(key);
      return;
    }
    const waitMs = (looked.get(key) ?? 0) + jobBatchMs - shell.now();
    if (waitMs > 0) return { afterMs: waitMs };
    if (!control.expectations.areFulfilled(key)) return;
    looked.set(key, shell.now());
    const claimed = await control.claim(job, job.spec?.selector);
    const pods = claimed.map((pod) => (untracked.has(pod.metadata.uid!) ? withoutTracking(pod) : pod));
    if (jobIsOver(job)) return release(pods);
    const decision = decideJob(job, pods, jobBackoffMs, shell.now());
    if (decision.deleteUncounted) await Promise.all(decision.delete.map(untrack));
    await control.delete(job, key, decision.delete);
    const made = Array.from({ length: decision.create }, (_, i) => podOf(job, decision.indexes[i]));
    await control.create(job, key, made);
    // First what was counted, then the finalizers: a pod that goes uncounted would be lost.
    if (!sameJson(decision.status, job.status)) {
      await clients.jobs.replaceStatus({ ...job, status: decision.status });
    }
    await release(decision.counted);
    for (const { type, reason, message } of decision.events) control.tell(job, type, reason, message);
    return decision.afterMs === undefined ? undefined : { afterMs: decision.afterMs };
  }

  /** Takes the finalizer off pods that have ended. */
  async function release(pods: Pod[]): Promise<void> {
    const held = pods.filter(
      (pod) => isFinished(pod) && pod.metadata.finalizers?.includes(trackingFinalizer),
    );
    await Promise.all(held.map(untrack));
  }

  async function untrack(pod: Pod): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    try {
      const patch = { metadata: { uid, finalizers: othersOf(pod) } };
      await clients.pods.patch(name, namespace, patch, { type: 'merge' });
    } catch (error) {
      if (!(error instanceof ApiError) || !(error.isNotFound || error.isConflict)) throw error;
    }
    untracked.add(uid!);
  }

  function podOf(job: Job, index: number | undefined): Pod {
    const pod = control.fromTemplate(job, job.spec!.template);
    pod.metadata.finalizers = [...(pod.metadata.finalizers ?? []), trackingFinalizer];
    if (index === undefined) return pod;
    const text = String(index);
    pod.metadata.annotations = { ...pod.metadata.annotations, [indexAnnotation]: text };
    pod.metadata.labels = { ...pod.metadata.labels, [indexAnnotation]: text };
    (pod.metadata as { generateName?: string }).generateName = `${job.metadata.name}-${index}-`;
    pod.spec!.hostname = `${job.metadata.name}-${index}`;
    for (const container of [...(pod.spec!.initContainers ?? []), ...pod.spec!.containers]) {
      const fieldPath = `metadata.labels['${indexAnnotation}']`;
      container.env = [
        ...(container.env ?? []),
        { name: 'JOB_COMPLETION_INDEX', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } },
      ];
    }
    return pod;
  }

  return {
    name: 'job-controller',
    sync,
    keysOf(change) {
      if (change.kind === 'Job') return [keyOfChange(change)];
      if (change.kind !== 'Pod') return [];
      if (!change.object) untracked.delete(change.old!.metadata.uid!);
      return control.keysOf(
        change,
        (owner) => (owner as Job).spec?.selector,
        () => caches.jobs.list(),
      );
    },
  };
}

function othersOf(pod: Pod): string[] | null {
  const others = (pod.metadata.finalizers ?? []).filter((one) => one !== trackingFinalizer);
  return others.length > 0 ? others : null;
}

function withoutTracking(pod: Pod): Pod {
  const { finalizers: _held, ...metadata } = pod.metadata;
  const others = othersOf(pod);
  return { ...pod, metadata: { ...metadata, ...(others ? { finalizers: others } : {}) } };
}
