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

/** What is to be done for a pod that is not being deleted. */
export type Plan =
  /** Make a sandbox; `killFirst` when containers of an earlier one are left. */
  | { do: 'create sandbox'; attempt: number; killFirst: boolean }
  /** Start these, one after the other. */
  | { do: 'start containers'; containers: ContainerStart[]; wakeInMs: number | undefined }
  /** Everything has ended for good: stop the sandbox. */
  | { do: 'finish'; phase: 'Succeeded' | 'Failed' }
  /** Nothing now; look again after that time at the latest. */
  | { do: 'wait'; wakeInMs: number | undefined };

export interface ContainerStart {
  spec: ContainerSpec;
  restartCount: number;
  init: boolean;
}

/** Containers that wait out a back-off: name → milliseconds left. For the pod's status. */
export type BackingOff = Map<string, number>;

/**
 * The kubelet's computePodActions: compares what a pod should be with what the runtime has. `backingOff` is filled
 * with the containers that would be started but for their back-off.
 */
export function plan(pod: Pod, observed: ObservedPod, backoff: Backoff, backingOff: BackingOff): Plan {
  const spec = specOf(pod);
  const sandbox = readySandbox(observed);
  const outcome = finalPhase(spec, observed);
  if (outcome) return { do: 'finish', phase: outcome };
  if (!sandbox) {
    return {
      do: 'create sandbox',
      attempt: (observed.sandboxes[0]?.metadata?.attempt ?? -1) + 1,
      killFirst: observed.containers.some(isRunning) || observed.sandboxes.length > 0,
    };
  }
  const init = nextInitContainer(spec, observed);
  const candidates = init ? (init === 'running' ? [] : [init]) : spec.containers.filter(mustStart);
  const starts: ContainerStart[] = [];
  let wakeInMs: number | undefined;
  for (const container of candidates) {
    const last = runsOf(observed, container.name)[0];
    const key = backoffKey(pod, container);
    const wait = last && hasExited(last) ? backoff.remaining(key, millis(last.finishedAt)) : 0;
    if (wait > 0) {
      backingOff.set(container.name, wait);
      wakeInMs = Math.min(wakeInMs ?? wait, wait);
      continue;
    }
    starts.push({
      spec: container,
      restartCount: last ? restartCountOf(last) + 1 : 0,
      init: init !== undefined,
    });
  }
  return starts.length > 0
    ? { do: 'start containers', containers: starts, wakeInMs }
    : { do: 'wait', wakeInMs };

  function mustStart(container: ContainerSpec): boolean {
    const last = runsOf(observed, container.name)[0];
    if (!last) return true;
    if (isRunning(last)) return false;
    // Created but not started: an earlier start was cut off. It is replaced by a new one.
    if (!hasExited(last)) return true;
    return shouldRestart(spec, last.exitCode);
  }
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

/** An init container with restartPolicy Always runs beside the containers (a sidecar). */
const isSidecar = (container: ContainerSpec): boolean => container.restartPolicy === 'Always';

/** The init container that is to be started; 'running' when one is under way; undefined when all are through. */
function nextInitContainer(spec: PodSpec, observed: ObservedPod): ContainerSpec | 'running' | undefined {
  // Containers of the pod exist only after the init containers are through, and may have outlived their traces.
  const sandboxSince = readySandbox(observed)?.createdAt ?? 0n;
  const begun = spec.containers.some((container) =>
    runsOf(observed, container.name).some((run) => run.createdAt >= sandboxSince),
  );
  for (const container of spec.initContainers ?? []) {
    const last = runsOf(observed, container.name).find((run) => run.createdAt >= sandboxSince);
    if (isSidecar(container)) {
      if (!isRunning(last)) return container;
      continue;
    }
    if (begun) continue;
    if (isRunning(last)) return 'running';
    if (!last || !hasExited(last)) return container;
    if (last.exitCode !== 0) return spec.restartPolicy === 'Never' ? 'running' : container;
  }
  return undefined;
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
