import type { ContainerStatus as CriContainerStatus } from '../../../proto/gen/runtime/v1/cri.js';
import type { Backoff } from './backoff.js';
import {
  hasExited,
  isRunning,
  millis,
  readySandbox,
  restartCountOf,
  runsOf,
  type ObservedPod,
} from './observed.js';
import { specOf, uidOf, type ContainerSpec, type Pod, type PodSpec } from './pod.js';
import { healthy, type Health } from './probes/decision.js';

/** What is to be done for a pod that is not being deleted. */
export type Plan =
  /** Make a sandbox; `killFirst` when containers of an earlier one are left. */
  | { do: 'create sandbox'; attempt: number; killFirst: boolean }
  /** End the unhealthy ones, then start these, one after the other. */
  | {
      do: 'change containers';
      kill: ContainerKill[];
      start: ContainerStart[];
      wakeInMs: number | undefined;
    }
  /** Everything has ended for good: end the sidecars, then the sandbox. */
  | { do: 'finish'; phase: 'Succeeded' | 'Failed' }
  /** Nothing now; look again after that time at the latest. */
  | { do: 'wait'; wakeInMs: number | undefined };

export interface ContainerStart {
  spec: ContainerSpec;
  restartCount: number;
  /** It ended by itself before: the next start waits longer. */
  countsAsFailure: boolean;
}

export interface ContainerKill {
  spec: ContainerSpec;
  run: CriContainerStatus;
  /** Of the event "Killing". */
  message: string;
  /** The probe's own grace period in seconds; undefined for the pod's. */
  graceSeconds: number | undefined;
}

/** Containers that wait out a back-off: name → milliseconds left. For the pod's status. */
export type BackingOff = Map<string, number>;

/**
 * The kubelet's computePodActions: compares what a pod should be with what the runtime has and what the probes say of
 * each run. `backingOff` is filled with the containers that would be started but for their back-off.
 */
export function plan(
  pod: Pod,
  observed: ObservedPod,
  backoff: Backoff,
  backingOff: BackingOff,
  health: (containerId: string) => Health = () => healthy,
): Plan {
  const spec = specOf(pod);
  const outcome = finalPhase(spec, observed);
  if (outcome) return { do: 'finish', phase: outcome };
  if (!readySandbox(observed)) {
    return {
      do: 'create sandbox',
      attempt: (observed.sandboxes[0]?.metadata?.attempt ?? -1) + 1,
      killFirst: observed.containers.some(isRunning) || observed.sandboxes.length > 0,
    };
  }
  const kill: ContainerKill[] = [];
  const start: ContainerStart[] = [];
  let wakeInMs: number | undefined;
  for (const container of wanted(spec, observed, health)) {
    const [last, previous] = runsOf(observed, container.name);
    const run = isRunning(last) ? last : undefined;
    if (run) {
      const again = isSidecar(container) || spec.restartPolicy !== 'Never';
      kill.push(unhealthy(container, run, health(run.id).failed ?? 'liveness', again));
      if (!again) continue;
    }
    // An end that is only now being brought about is not looked at, as a kubelet does that decides by what it saw
    // before: so the second failure of a probe restarts at once too.
    const ended = run ? previous : last;
    const failedAt = ended && hasExited(ended) ? millis(ended.finishedAt) : undefined;
    const wait = failedAt === undefined ? 0 : backoff.remaining(backoffKey(pod, container), failedAt);
    if (wait > 0) {
      if (!run) backingOff.set(container.name, wait);
      wakeInMs = Math.min(wakeInMs ?? wait, wait);
      continue;
    }
    start.push({
      spec: container,
      restartCount: last ? restartCountOf(last) + 1 : 0,
      countsAsFailure: failedAt !== undefined,
    });
  }
  return kill.length + start.length > 0
    ? { do: 'change containers', kill, start, wakeInMs }
    : { do: 'wait', wakeInMs };
}

export const backoffKey = (pod: Pod, container: { name: string }): string =>
  `${uidOf(pod)}/${container.name}`;

function shouldRestart(spec: PodSpec, exitCode: number): boolean {
  switch (spec.restartPolicy) {
    case 'Never':
      return false;
    case 'OnFailure':
      return exitCode !== 0;
    default:
      return true;
  }
}

/** An init container with restartPolicy Always runs beside the containers. */
export const isSidecar = (container: ContainerSpec): boolean => container.restartPolicy === 'Always';

function unhealthy(
  spec: ContainerSpec,
  run: CriContainerStatus,
  probe: 'startup' | 'liveness',
  again: boolean,
): ContainerKill {
  return {
    spec,
    run,
    message: `Container ${spec.name} failed ${probe} probe${again ? ', will be restarted' : ''}`,
    graceSeconds: spec[`${probe}Probe`]?.terminationGracePeriodSeconds,
  };
}

/**
 * Containers that are to be started, or ended because they are unhealthy, in the order of the pod: init containers one
 * after the other, of which a sidecar lets the next begin once it has started; then all the others.
 */
function wanted(
  spec: PodSpec,
  observed: ObservedPod,
  health: (containerId: string) => Health,
): ContainerSpec[] {
  // Init containers run again in a new sandbox; an end in an earlier one does not count.
  const since = readySandbox(observed)?.createdAt ?? 0n;
  const runIn = (container: ContainerSpec): CriContainerStatus | undefined =>
    runsOf(observed, container.name).find((run) => run.createdAt >= since);
  const isFailing = (run: CriContainerStatus): boolean => health(run.id).failed !== undefined;
  // Containers of the pod exist only after the init containers are through, and may have outlived their traces.
  const initialized = spec.containers.some(runIn);
  const result: ContainerSpec[] = [];
  const init = spec.initContainers ?? [];
  for (const [index, container] of init.entries()) {
    const run = runIn(container);
    if (isSidecar(container)) {
      const passedBefore = initialized || init.slice(index + 1).some(runIn);
      if (!run || !isRunning(run)) {
        result.push(container);
        if (!passedBefore) return result;
      } else {
        if (isFailing(run)) result.push(container);
        if (!health(run.id).started && !passedBefore) return result;
      }
      continue;
    }
    if (initialized || (hasExited(run) && run?.exitCode === 0)) continue;
    if (!isRunning(run) && !(hasExited(run) && spec.restartPolicy === 'Never')) result.push(container);
    return result;
  }
  for (const container of spec.containers) {
    const last = runsOf(observed, container.name)[0];
    // Created but not started: an earlier start was cut off. It is replaced by a new one.
    const start =
      !last || (isRunning(last) ? isFailing(last) : !hasExited(last) || shouldRestart(spec, last.exitCode));
    if (start) result.push(container);
  }
  return result;
}

/** Succeeded or Failed when nothing of the pod will ever run again; undefined before. */
export function finalPhase(spec: PodSpec, observed: ObservedPod): 'Succeeded' | 'Failed' | undefined {
  if (spec.restartPolicy !== 'Never' && spec.restartPolicy !== 'OnFailure') return undefined;
  if (spec.restartPolicy === 'Never') {
    const failedInit = (spec.initContainers ?? []).some((container) => {
      const last = runsOf(observed, container.name)[0];
      return !isSidecar(container) && hasExited(last) && last?.exitCode !== 0;
    });
    if (failedInit) return 'Failed';
  }
  const runs = spec.containers.map((container) => runsOf(observed, container.name)[0]);
  if (!runs.every((run) => run && hasExited(run) && !shouldRestart(spec, run.exitCode))) return undefined;
  return runs.every((run) => run?.exitCode === 0) ? 'Succeeded' : 'Failed';
}
