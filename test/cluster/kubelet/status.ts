import type { ContainerStatus as CriContainerStatus } from '../../../proto/gen/runtime/v1/cri.js';
import {
  hasExited,
  isRunning,
  millis,
  readySandbox,
  restartCountOf,
  runsOf,
  type ObservedPod,
} from './observed.js';
import { finalPhase, isSidecar } from './plan.js';
import {
  qosClass,
  specOf,
  type ContainerSpec,
  type ContainerState,
  type ContainerStatus,
  type Pod,
  type PodCondition,
  type PodStatus,
} from './pod.js';
import { healthy, type Health } from './probes/decision.js';

/** Why a container is not running that should be: the reason and message of its waiting state. */
export interface Waiting {
  reason: string;
  message?: string;
}

export interface StatusInput {
  pod: Pod;
  observed: ObservedPod;
  /** Container name → why it waits. */
  waiting: ReadonlyMap<string, Waiting>;
  /** Container ID → what it wrote to its termination message file. */
  terminationMessages: ReadonlyMap<string, string>;
  hostIp: string;
  now: Date;
  /** What the probes say of a run; without, every running container is ready. */
  health?: (containerId: string) => Health;
  /** The pod was deleted and nothing of it runs any more: its phase is final, whatever its restartPolicy. */
  hasEnded?: boolean;
}

/** Kubernetes' form of a time: seconds, UTC. */
export const timestamp = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;

/** The conditions that the kubelet writes; all others belong to somebody else. */
export const ownConditions = new Set([
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
]);

/** The status of a pod, from what the runtime has of it. What others wrote into the conditions is kept. */
export function podStatus(input: StatusInput): PodStatus {
  const { pod, observed, now } = input;
  const spec = specOf(pod);
  const before = pod.status ?? {};
  const initial = (spec.initContainers ?? []).length > 0 ? 'PodInitializing' : 'ContainerCreating';
  const initContainerStatuses = (spec.initContainers ?? []).map((container) =>
    containerStatus(input, container, 'PodInitializing', before.initContainerStatuses),
  );
  const containerStatuses = spec.containers.map((container) =>
    containerStatus(input, container, initial, before.containerStatuses),
  );
  const phase = input.hasEnded
    ? endedPhase(pod, containerStatuses)
    : podPhase(pod, observed, containerStatuses, initContainerStatuses);
  const sandbox = readySandbox(observed);
  const ips = podIps(input);
  // A sidecar counts as one of the containers.
  const sidecars = (spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
  const unready = [
    ...initContainerStatuses.filter(({ name }) => sidecars.includes(name)),
    ...containerStatuses,
  ].flatMap((status) => (status.ready ? [] : [status.name]));
  const uninitialized = initContainerStatuses.flatMap((status) =>
    isInitialized(status) ? [] : [status.name],
  );
  return {
    ...(pod.metadata.generation ? { observedGeneration: pod.metadata.generation } : {}),
    phase,
    conditions: conditions(
      pod,
      now,
      {
        PodReadyToStartContainers: sandbox !== undefined,
        Initialized: uninitialized.length === 0,
        ContainersReady: unready.length === 0,
        PodScheduled: true,
      },
      { phase, unready, uninitialized },
    ),
    hostIP: input.hostIp,
    hostIPs: [{ ip: input.hostIp }],
    ...(ips.length > 0 ? { podIP: ips[0] as string, podIPs: ips.map((ip) => ({ ip })) } : {}),
    startTime: before.startTime ?? timestamp(now),
    qosClass: qosClass(pod),
    ...(initContainerStatuses.length > 0 ? { initContainerStatuses } : {}),
    containerStatuses,
  };
}

/** An ended pod keeps the addresses that it had. */
function podIps(input: StatusInput): string[] {
  if (specOf(input.pod).hostNetwork) return [input.hostIp];
  const network = readySandbox(input.observed)?.network;
  const current = [network?.ip, ...(network?.additionalIps ?? []).map(({ ip }) => ip)].filter(
    (ip): ip is string => Boolean(ip),
  );
  if (current.length > 0) return current;
  return (input.pod.status?.podIPs ?? []).flatMap(({ ip }) => ip ?? []);
}

function podPhase(
  pod: Pod,
  observed: ObservedPod,
  containers: readonly ContainerStatus[],
  init: readonly ContainerStatus[],
): NonNullable<PodStatus['phase']> {
  // A phase that ended never comes back, also when the runtime has forgotten the containers.
  const before = pod.status?.phase;
  if (before === 'Succeeded' || before === 'Failed') return before;
  const final = finalPhase(specOf(pod), observed);
  if (final) return final;
  if (!init.every(isInitialized)) return 'Pending';
  // A container that runs, or ran and will run again, makes the pod Running.
  const begun = containers.every(
    (status) => status.state?.running || status.lastState?.terminated || status.state?.terminated,
  );
  return begun ? 'Running' : 'Pending';
}

/** A kubelet lets no pod go without a final phase; one whose containers never began has failed. */
function endedPhase(pod: Pod, containers: readonly ContainerStatus[]): NonNullable<PodStatus['phase']> {
  const before = pod.status?.phase;
  if (before === 'Succeeded' || before === 'Failed') return before;
  const succeeded = containers.every(({ state }) => state?.terminated?.exitCode === 0);
  return succeeded ? 'Succeeded' : 'Failed';
}

const isInitialized = (status: ContainerStatus): boolean =>
  status.state?.terminated?.exitCode === 0 ||
  (status.state?.running !== undefined && status.started === true);

function conditions(
  pod: Pod,
  now: Date,
  truths: Record<'PodReadyToStartContainers' | 'Initialized' | 'ContainersReady' | 'PodScheduled', boolean>,
  { phase, unready, uninitialized }: { phase: string; unready: string[]; uninitialized: string[] },
): PodCondition[] {
  const before = pod.status?.conditions ?? [];
  const closedGates = (specOf(pod).readinessGates ?? []).flatMap(({ conditionType }) => {
    const gate = before.find((condition) => condition.type === conditionType);
    if (gate?.status === 'True') return [];
    return gate
      ? [`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`]
      : [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
  });
  const ended = phase === 'Succeeded' ? 'PodCompleted' : phase === 'Failed' ? 'PodFailed' : undefined;
  const notReady = ended ?? 'ContainersNotReady';
  const why = ended ? '' : `containers with unready status: [${unready.join(' ')}]`;
  // Type, truth, and for what is not true the reason and message.
  const list: [string, boolean, string?, string?][] = [
    ['PodReadyToStartContainers', truths.PodReadyToStartContainers],
    [
      'Initialized',
      truths.Initialized,
      'ContainersNotInitialized',
      `containers with incomplete status: [${uninitialized.join(' ')}]`,
    ],
    truths.ContainersReady
      ? ['Ready', closedGates.length === 0, 'ReadinessGatesNotReady', closedGates.join(', ')]
      : ['Ready', false, notReady, why],
    ['ContainersReady', truths.ContainersReady, notReady, why],
    ['PodScheduled', true],
  ];
  const own = list.map(([type, truth, reason, message]): PodCondition => {
    const status = truth ? 'True' : 'False';
    const old = before.find((condition) => condition.type === type);
    return {
      type,
      status,
      ...(pod.metadata.generation ? { observedGeneration: pod.metadata.generation } : {}),
      ...(!truth && reason ? { reason } : {}),
      ...(!truth && message ? { message } : {}),
      lastTransitionTime:
        old?.status === status && old.lastTransitionTime ? old.lastTransitionTime : timestamp(now),
    };
  });
  return [...own, ...before.filter((condition) => !ownConditions.has(condition.type))];
}

function containerStatus(
  input: StatusInput,
  container: ContainerSpec,
  initialReason: string,
  before: readonly ContainerStatus[] | undefined,
): ContainerStatus {
  const old = before?.find((status) => status.name === container.name);
  const [last, previous] = runsOf(input.observed, container.name);
  const waits = input.waiting.get(container.name);
  const terminated = (run: CriContainerStatus | undefined): ContainerState | undefined =>
    run && hasExited(run) ? { terminated: terminatedState(run, input) } : undefined;

  let state: ContainerState;
  let lastState: ContainerState | undefined;
  if (last && isRunning(last)) {
    state = { running: { startedAt: timestamp(new Date(millis(last.startedAt))) } };
    lastState = terminated(previous) ?? nonEmpty(old?.lastState);
  } else if (last && hasExited(last) && !waits) {
    state = terminated(last) as ContainerState;
    lastState = terminated(previous) ?? nonEmpty(old?.lastState);
  } else {
    state = {
      waiting: {
        reason: waits?.reason ?? initialReason,
        ...(waits?.message ? { message: waits.message } : {}),
      },
    };
    lastState = terminated(last) ?? terminated(previous) ?? nonEmpty(old?.lastState);
    // The runtime was emptied, but the container had ended: that is still its state.
    if (!last && old?.state?.terminated && !waits) {
      state = old.state;
      lastState = nonEmpty(old.lastState);
    }
  }
  const running = state.running !== undefined;
  const health = running && last ? (input.health ?? (() => healthy))(last.id) : undefined;
  return {
    name: container.name,
    state,
    lastState: lastState ?? {},
    // An init container is ready when it has done its work.
    ready:
      isInitOf(input.pod, container) && !isSidecar(container)
        ? state.terminated?.exitCode === 0
        : (health?.ready ?? false),
    started: health?.started ?? false,
    restartCount: last ? restartCountOf(last) : (old?.restartCount ?? 0),
    image: last?.image?.userSpecifiedImage || last?.image?.image || container.image || '',
    imageID: last?.imageRef ?? old?.imageID ?? '',
    ...(last
      ? { containerID: `containerd://${last.id}` }
      : old?.containerID
        ? { containerID: old.containerID }
        : {}),
  };
}

const isInitOf = (pod: Pod, container: ContainerSpec): boolean =>
  (specOf(pod).initContainers ?? []).some(({ name }) => name === container.name);

const nonEmpty = (state: ContainerState | undefined): ContainerState | undefined =>
  state && Object.keys(state).length > 0 ? state : undefined;

function terminatedState(
  run: CriContainerStatus,
  input: StatusInput,
): NonNullable<ContainerState['terminated']> {
  const time = (nanoseconds: bigint): string => timestamp(new Date(millis(nanoseconds)));
  const message = input.terminationMessages.get(run.id) || run.message;
  return {
    exitCode: run.exitCode,
    reason: run.reason || (run.exitCode === 0 ? 'Completed' : 'Error'),
    ...(message ? { message } : {}),
    startedAt: time(run.startedAt),
    finishedAt: time(run.finishedAt),
    containerID: `containerd://${run.id}`,
  };
}
