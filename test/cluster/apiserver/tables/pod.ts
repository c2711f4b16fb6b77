import type { ContainerStatus, Pod } from '../resources/pod-types.js';
import { age, humanDuration } from '../time.js';
import type { TableSpec } from './table.js';

export const podTable: TableSpec = {
  columns: [
    { name: 'Name', type: 'string', format: 'name' },
    { name: 'Ready', type: 'string' },
    { name: 'Status', type: 'string' },
    { name: 'Restarts', type: 'string' },
    { name: 'Age', type: 'string' },
    { name: 'IP', type: 'string', priority: 1 },
    { name: 'Node', type: 'string', priority: 1 },
    { name: 'Nominated Node', type: 'string', priority: 1 },
    { name: 'Readiness Gates', type: 'string', priority: 1 },
  ],
  row(object, now) {
    const pod = object as Pod;
    const { status, readyContainers, restarts } = summary(pod, now);
    const ready = `${readyContainers}/${containerCount(pod)}`;
    return [
      pod.metadata.name,
      ready,
      status,
      restarts,
      age(pod.metadata.creationTimestamp, now),
      pod.status?.podIP || '<none>',
      pod.spec.nodeName || '<none>',
      pod.status?.nominatedNodeName || '<none>',
      readinessGates(pod),
    ];
  },
};

/** Init containers with restartPolicy Always (sidecars) count as containers. */
function isSidecar(pod: Pod, name: string): boolean {
  return pod.spec.initContainers?.find((container) => container.name === name)?.restartPolicy === 'Always';
}

function containerCount(pod: Pod): number {
  const sidecars = (pod.spec.initContainers ?? []).filter(
    (container) => container.restartPolicy === 'Always',
  );
  return pod.spec.containers.length + sidecars.length;
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const met = gates.filter((gate) =>
    pod.status?.conditions?.some(
      (condition) => condition.type === gate.conditionType && condition.status === 'True',
    ),
  );
  return `${met.length}/${gates.length}`;
}

interface Summary {
  status: string;
  readyContainers: number;
  restarts: string;
}

/** The one word that stands for a pod's state, in the order of importance of the real server's printPod. */
function summary(pod: Pod, now: number): Summary {
  let status = pod.status?.reason || pod.status?.phase || '';
  let readyContainers = 0;
  let restarts = 0;
  let sidecarRestarts = 0;
  let lastRestart = 0;
  const countRestart = (container: ContainerStatus) => {
    restarts += container.restartCount ?? 0;
    const finishedAt = container.lastState?.terminated?.['finishedAt'];
    if (typeof finishedAt === 'string') lastRestart = Math.max(lastRestart, Date.parse(finishedAt));
  };

  const scheduled = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
  if (scheduled?.reason === 'SchedulingGated') status = 'SchedulingGated';

  const initContainers = pod.spec.initContainers ?? [];
  let isInitializing = false;
  for (const [i, container] of (pod.status?.initContainerStatuses ?? []).entries()) {
    countRestart(container);
    const { terminated, waiting } = container.state ?? {};
    const sidecar = isSidecar(pod, container.name);
    if (sidecar) sidecarRestarts += container.restartCount ?? 0;
    if (terminated && terminated['exitCode'] === 0) continue;
    if (sidecar && container.started) {
      if (container.ready) readyContainers++;
      continue;
    }
    if (terminated) status = `Init:${exitReason(terminated)}`;
    else if (waiting?.['reason'] && waiting['reason'] !== 'PodInitializing') {
      status = `Init:${String(waiting['reason'])}`;
    } else {
      status = `Init:${i}/${initContainers.length}`;
    }
    isInitializing = true;
    break;
  }

  if (!isInitializing) {
    restarts = sidecarRestarts;
    let hasRunning = false;
    const statuses = pod.status?.containerStatuses ?? [];
    for (const container of [...statuses].reverse()) {
      countRestart(container);
      const { terminated, waiting, running } = container.state ?? {};
      if (waiting?.['reason']) status = String(waiting['reason']);
      else if (terminated) status = exitReason(terminated);
      else if (container.ready && running) {
        hasRunning = true;
        readyContainers++;
      }
    }
    if (status === 'Completed' && hasRunning) {
      const isReady = pod.status?.conditions?.some(
        (condition) => condition.type === 'Ready' && condition.status === 'True',
      );
      status = isReady ? 'Running' : 'NotReady';
    }
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (pod.status?.reason === 'NodeLost') status = 'Unknown';
    else if (pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed') status = 'Terminating';
  }
  const text =
    restarts > 0 && lastRestart > 0
      ? `${restarts} (${humanDuration(now - lastRestart)} ago)`
      : String(restarts);
  return { status, readyContainers, restarts: text };
}

function exitReason(terminated: Record<string, unknown>): string {
  if (terminated['reason']) return String(terminated['reason']);
  if (terminated['signal']) return `Signal:${String(terminated['signal'])}`;
  return `ExitCode:${String(terminated['exitCode'] ?? 0)}`;
}
