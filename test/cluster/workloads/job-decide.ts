/** What a Job does next: pure. Follows k8s.io/kubernetes/pkg/controller/job; pod failure policies are left out. */
import type { Pod } from '../../../common/kube/types.js';
import { timestamp } from '../apiserver/time.js';
import { compressIndexes, indexOf } from './job-index.js';
import { isEnding, isFinished, isReady } from './pods.js';
import type { Job } from './types.js';

type Status = NonNullable<Job['status']>;
type Condition = NonNullable<Status['conditions']>[number];

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';

export interface JobDecision {
  /** How many pods are to be created, with these indexes if the Job is Indexed. */
  create: number;
  indexes: number[];
  delete: Pod[];
  /** True when those that are deleted count neither as failed nor as succeeded: nothing was wrong with them. */
  deleteUncounted: boolean;
  /** Pods that have ended and are counted in `status`: their finalizer may go once the status is written. */
  counted: Pod[];
  status: Status;
  events: { type: 'Normal' | 'Warning'; reason: string; message: string }[];
  /** Look again after so many milliseconds: a failed pod is not replaced at once. */
  afterMs?: number;
}

export function jobIsOver(job: Job): boolean {
  return (job.status?.conditions ?? []).some(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
}

interface Verdict {
  target: 'SuccessCriteriaMet' | 'FailureTarget';
  final: 'Complete' | 'Failed';
  reason: string;
  message: string;
}

export function decideJob(job: Job, pods: Pod[], backoffMs: number, nowMs: number): JobDecision {
  const spec = job.spec!;
  const isTracked = (pod: Pod): boolean => pod.metadata.finalizers?.includes(trackingFinalizer) ?? false;
  // A pod that is deleted without having ended counts as failed once it has (kubelet or garbage collector end it).
  const fresh = pods.filter((pod) => isTracked(pod) && isFinished(pod));
  const failedNow = fresh.filter((pod) => pod.status?.phase === 'Failed');
  const succeededNow = fresh.filter((pod) => pod.status?.phase === 'Succeeded');
  const running = pods.filter((pod) => !isFinished(pod));
  const active = running.filter((pod) => !isEnding(pod));
  const terminating = running.filter(isEnding);
  const succeeded = (job.status?.succeeded ?? 0) + succeededNow.length;
  const failed = (job.status?.failed ?? 0) + failedNow.length;
  const isIndexed = spec.completionMode === 'Indexed';
  const doneIndexes = completed(job, succeededNow);
  const decision: JobDecision = {
    create: 0,
    indexes: [],
    delete: [],
    deleteUncounted: false,
    counted: fresh,
    events: [],
    status: { ...job.status },
  };

  const conditions = [...(job.status?.conditions ?? [])];
  const known = (type: string): Condition | undefined => conditions.find((one) => one.type === type);
  const verdict = earlier(known) ?? judge(job, pods, { succeeded, failed, doneIndexes }, nowMs);
  let startTime = job.status?.startTime;
  if (!startTime && !spec.suspend) startTime = timestamp(nowMs);

  if (verdict) {
    decision.delete = active;
  } else if (spec.suspend) {
    decision.delete = active;
    decision.deleteUncounted = true;
  } else if (!job.metadata.deletionTimestamp) {
    Object.assign(decision, manage(job, active, terminating, succeeded, doneIndexes, pods, backoffMs, nowMs));
  }
  suspension(job, conditions, decision, nowMs);

  const left = active.length - decision.delete.length;
  const isSuspended = spec.suspend === true && !verdict;
  if (verdict) {
    put(conditions, verdict.target, verdict, nowMs);
    // The last word is said when no pod runs any more.
    if (left + terminating.length + decision.delete.length === 0) {
      put(conditions, verdict.final, verdict, nowMs);
      decision.events.push(
        verdict.final === 'Complete'
          ? { type: 'Normal', reason: 'Completed', message: 'Job completed' }
          : { type: 'Warning', reason: verdict.reason, message: verdict.message },
      );
    }
  }
  const isComplete = conditions.some(({ type, status }) => type === 'Complete' && status === 'True');
  const counts = { active: left + decision.create, succeeded, failed };
  decision.status = {
    ...(conditions.length > 0 ? { conditions } : {}),
    ...(startTime && !isSuspended ? { startTime } : {}),
    ...(isComplete ? { completionTime: job.status?.completionTime ?? timestamp(nowMs) } : {}),
    // The API leaves out these counts when they are 0.
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    ready: active.filter((pod) => isReady(pod) && !decision.delete.includes(pod)).length,
    terminating: terminating.length + decision.delete.length,
    ...(isIndexed && doneIndexes.size > 0 ? { completedIndexes: compressIndexes(doneIndexes) } : {}),
    uncountedTerminatedPods: {},
  } as Status;
  return decision;
}

/** The outcome that was decided before and only waits for the last pods. */
function earlier(known: (type: string) => Condition | undefined): Verdict | undefined {
  for (const [target, final] of [
    ['FailureTarget', 'Failed'],
    ['SuccessCriteriaMet', 'Complete'],
  ] as const) {
    const condition = known(target);
    if (condition?.status === 'True') {
      return { target, final, reason: condition.reason ?? '', message: condition.message ?? '' };
    }
  }
  return undefined;
}

function judge(
  job: Job,
  pods: Pod[],
  { succeeded, failed, doneIndexes }: { succeeded: number; failed: number; doneIndexes: Set<number> },
  nowMs: number,
): Verdict | undefined {
  const spec = job.spec!;
  const failure = { target: 'FailureTarget', final: 'Failed' } as const;
  const restarts =
    spec.template.spec?.restartPolicy === 'OnFailure'
      ? pods
          .filter((pod) => !isFinished(pod))
          .flatMap((pod) => pod.status?.containerStatuses ?? [])
          .reduce((sum, one) => sum + (one.restartCount ?? 0), 0)
      : 0;
  if (failed + restarts > (spec.backoffLimit ?? 6)) {
    return {
      ...failure,
      reason: 'BackoffLimitExceeded',
      message: 'Job has reached the specified backoff limit',
    };
  }
  const { activeDeadlineSeconds } = spec;
  const startedMs = Date.parse(job.status?.startTime ?? '');
  if (
    activeDeadlineSeconds !== undefined &&
    !spec.suspend &&
    nowMs - startedMs >= activeDeadlineSeconds * 1000
  ) {
    return {
      ...failure,
      reason: 'DeadlineExceeded',
      message: 'Job was active longer than specified deadline',
    };
  }
  const isRunning = pods.some((pod) => !isFinished(pod));
  const done = spec.completionMode === 'Indexed' ? doneIndexes.size : succeeded;
  // Without completions any success ends it, when the others have ended too.
  const isDone = spec.completions === undefined ? succeeded > 0 && !isRunning : done >= spec.completions;
  if (!isDone) return undefined;
  return {
    target: 'SuccessCriteriaMet',
    final: 'Complete',
    reason: 'CompletionsReached',
    message: 'Reached expected number of succeeded pods',
  };
}

/** Pods to create or delete so that as many run as should. */
function manage(
  job: Job,
  active: Pod[],
  terminating: Pod[],
  succeeded: number,
  doneIndexes: Set<number>,
  pods: Pod[],
  backoffMs: number,
  nowMs: number,
): Partial<JobDecision> {
  const spec = job.spec!;
  const parallelism = spec.parallelism ?? 1;
  const isIndexed = spec.completionMode === 'Indexed';
  const left =
    spec.completions === undefined
      ? undefined
      : spec.completions - (isIndexed ? doneIndexes.size : succeeded);
  const wanted =
    left === undefined
      ? succeeded > 0
        ? active.length
        : parallelism
      : Math.max(0, Math.min(left, parallelism));
  const surplus = active.length - wanted;
  if (surplus > 0) {
    const order = [...active].sort((a, b) => Number(isReady(a)) - Number(isReady(b)));
    return { delete: order.slice(0, surplus), deleteUncounted: true };
  }
  // Pods that end still hold their place, unless the Job replaces pods before they have ended.
  const held = spec.podReplacementPolicy === 'Failed' ? terminating.length : 0;
  const missing = -surplus - held;
  if (missing <= 0) return {};
  const waitMs = untilRetryMs(pods, backoffMs, nowMs);
  if (waitMs > 0) return { afterMs: waitMs };
  if (!isIndexed) return { create: missing };
  const taken = new Set([...doneIndexes, ...[...active, ...terminating].map((pod) => indexOf(pod) ?? -1)]);
  const indexes: number[] = [];
  for (let index = 0; index < (spec.completions ?? 0) && indexes.length < missing; index++) {
    if (!taken.has(index)) indexes.push(index);
  }
  return { create: indexes.length, indexes };
}

const longestBackoffMs = 10 * 60_000;

/** Failures in a row, since the last success, each double the wait; it counts from the last end. */
function untilRetryMs(pods: Pod[], backoffMs: number, nowMs: number): number {
  const ended = pods
    .filter(isFinished)
    .map((pod) => ({ failed: pod.status?.phase === 'Failed', atMs: endedMs(pod) }));
  const lastSuccess = Math.max(0, ...ended.filter(({ failed }) => !failed).map(({ atMs }) => atMs));
  const failures = ended.filter(({ failed, atMs }) => failed && atMs > lastSuccess);
  if (failures.length === 0) return 0;
  const wait = Math.min(longestBackoffMs, backoffMs * 2 ** (failures.length - 1));
  return Math.max(0, Math.max(...failures.map(({ atMs }) => atMs)) + wait - nowMs);
}

function endedMs(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? []).map((one) =>
    Date.parse(one.state?.terminated?.finishedAt ?? ''),
  );
  const known = ends.filter((end) => !Number.isNaN(end));
  return known.length > 0 ? Math.max(...known) : Date.parse(pod.metadata.creationTimestamp ?? '');
}

function completed(job: Job, succeededNow: Pod[]): Set<number> {
  const done = new Set<number>();
  for (const range of (job.status?.completedIndexes ?? '').split(',').filter(Boolean)) {
    const [first = 0, last = first] = range.split('-').map(Number);
    for (let index = first; index <= last; index++) done.add(index);
  }
  for (const pod of succeededNow) {
    const index = indexOf(pod);
    if (index !== undefined) done.add(index);
  }
  return done;
}

function suspension(job: Job, conditions: Condition[], decision: JobDecision, nowMs: number): void {
  const known = conditions.find(({ type }) => type === 'Suspended');
  if (job.spec?.suspend && known?.status !== 'True') {
    replace(
      conditions,
      { type: 'Suspended', status: 'True', reason: 'JobSuspended', message: 'Job suspended' },
      nowMs,
    );
    decision.events.push({ type: 'Normal', reason: 'Suspended', message: 'Job suspended' });
  } else if (!job.spec?.suspend && known?.status === 'True') {
    replace(
      conditions,
      { type: 'Suspended', status: 'False', reason: 'JobResumed', message: 'Job resumed' },
      nowMs,
    );
    decision.events.push({ type: 'Normal', reason: 'Resumed', message: 'Job resumed' });
  }
}

function put(conditions: Condition[], type: string, { reason, message }: Verdict, nowMs: number): void {
  if (conditions.some((one) => one.type === type && one.status === 'True')) return;
  replace(conditions, { type, status: 'True', reason, message }, nowMs);
}

function replace(conditions: Condition[], condition: Partial<Condition>, nowMs: number): void {
  const now = timestamp(nowMs);
  const next = { ...condition, lastProbeTime: now, lastTransitionTime: now } as Condition;
  const index = conditions.findIndex(({ type }) => type === next.type);
  if (index === -1) conditions.push(next);
  else conditions[index] = next;
}
