import {
  ContainerState,
  PodSandboxState,
  type ContainerStatus as CriContainerStatus,
  type PodSandboxStatus,
} from '../../../proto/gen/runtime/v1/cri.js';
import type { Cri } from '../cri.js';
import { labels } from './labels.js';

/** What the runtime holds of one pod. The newest comes first in each list. */
export interface ObservedPod {
  sandboxes: PodSandboxStatus[];
  containers: CriContainerStatus[];
}

const newestFirst = <T extends { createdAt: bigint }>(a: T, b: T): number =>
  a.createdAt < b.createdAt ? 1 : -1;

/** Asks the runtime for everything that carries the pod's UID. */
export async function observePod(cri: Cri, uid: string): Promise<ObservedPod> {
  const labelSelector = { [labels.podUid]: uid };
  const [sandboxes, containers] = await Promise.all([
    cri.runtime.listPodSandbox({ filter: { id: '', state: undefined, labelSelector } }),
    cri.runtime.listContainers({ filter: { id: '', state: undefined, podSandboxId: '', labelSelector } }),
  ]);
  const statuses = await Promise.all([
    Promise.all(
      sandboxes.items.map(({ id }) =>
        orGone(cri.runtime.podSandboxStatus({ podSandboxId: id, verbose: false })),
      ),
    ),
    Promise.all(
      containers.containers.map(({ id }) =>
        orGone(cri.runtime.containerStatus({ containerId: id, verbose: false })),
      ),
    ),
  ]);
  return {
    sandboxes: statuses[0].flatMap((answer) => answer?.status ?? []).sort(newestFirst),
    containers: statuses[1].flatMap((answer) => answer?.status ?? []).sort(newestFirst),
  };
}

/** gRPC code 5, NotFound: removed between the list and the question. */
async function orGone<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if ((error as { code?: number }).code === 5) return undefined;
    throw error;
  }
}

export const readySandbox = (observed: ObservedPod): PodSandboxStatus | undefined =>
  observed.sandboxes[0]?.state === PodSandboxState.SANDBOX_READY ? observed.sandboxes[0] : undefined;

/** All runs of a container that the runtime still knows, the latest first. */
export const runsOf = (observed: ObservedPod, name: string): CriContainerStatus[] =>
  observed.containers.filter((container) => container.metadata?.name === name);

export const isRunning = (container: CriContainerStatus | undefined): boolean =>
  container?.state === ContainerState.CONTAINER_RUNNING;

export const hasExited = (container: CriContainerStatus | undefined): boolean =>
  container?.state === ContainerState.CONTAINER_EXITED;

/** How often the container had been started before this run, as the kubelet notes it at the container. */
export const restartCountOf = (container: CriContainerStatus): number =>
  Number(container.annotations[labels.restartCount] ?? container.metadata?.attempt ?? 0);

export const millis = (nanoseconds: bigint): number => Number(nanoseconds / 1_000_000n);
