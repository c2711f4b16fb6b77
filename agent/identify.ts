import { LpmError } from '../common/errors.js';
import { knownCheckpoints } from './artifacts.js';
import type { CheckedRequest } from './checkpoint-request.js';
import type { Context } from './context.js';
import { hasOwnFreeze } from './freeze.js';
import { nameOf, requireSandbox, runningContainers, type RunningContainer } from './pod-view.js';
import { isAlive } from './process.js';

/** Finds the containers that are named, and checks that they are the ones that run. */
export async function identify(context: Context, request: CheckedRequest): Promise<RunningContainer[]> {
  const { pod } = request;
  const sandbox = await requireSandbox(context.cri, pod);
  const running = await runningContainers(context.host, context.cri, context.runtimeRoots, pod.uid);
  const found = request.containers.map(({ name, containerId }) => {
    const container = running.find(({ cri }) => cri.id === containerId);
    if (container && container.name === name && container.cri.podSandboxId === sandbox.id) return container;
    throw anotherContainer(running, { name, containerId }, pod.name);
  });
  // A checkpoint after which the pod runs on may be of one container only.
  const forgotten =
    !request.thawAfter &&
    running.find(({ cri }) => !request.containers.some(({ containerId }) => containerId === cri.id));
  if (forgotten) {
    throw new LpmError('SourceChanged', `Container ${nameOf(forgotten.cri)} of pod ${pod.name} runs too.`, {
      hint: 'All running containers of a pod are checkpointed together.',
    });
  }
  const frozen = found.find(({ oci }) => hasOwnFreeze(oci.freezer));
  if (frozen) {
    const holder = knownCheckpoints(context.state).find(({ manifest }) => manifest?.pod.uid === pod.uid);
    throw new LpmError(
      'PodBusy',
      `Container ${frozen.name} of pod ${pod.name} is frozen already${holder ? ` by checkpoint ${holder.checkpointUid}` : ''}.`,
    );
  }
  return found;
}

/**
 * Looks once more when the pod is fenced, so that the answer stays true: the containers that were dumped are the ones that
 * are there. One that the kubelet has ended or restarted while it was dumped is not what the dump holds any more.
 *
 * @throws SourceChanged
 */
export async function checkUnchanged(
  context: Context,
  request: CheckedRequest,
  dumped: readonly RunningContainer[],
): Promise<void> {
  const { pod } = request;
  for (const { name, oci } of dumped) {
    if (isAlive(oci.pid, oci.startTime)) continue;
    throw new LpmError('SourceChanged', `Container ${name} of pod ${pod.name} ended while it was dumped.`, {
      hint: 'A liveness probe, an eviction or a deletion may have ended it; look at the events of the pod.',
    });
  }
  const running = await runningContainers(context.host, context.cri, context.runtimeRoots, pod.uid);
  const other = running.find(({ cri }) => !dumped.some(({ oci }) => oci.id === cri.id));
  if (other) {
    throw new LpmError(
      'SourceChanged',
      `Container ${other.name} of pod ${pod.name} was started while the pod was dumped.`,
      { hint: 'Look at the events of the pod, and migrate again.' },
    );
  }
}

/** That the container that was named is not the one that runs: it was restarted, or has ended. */
export function anotherContainer(
  running: readonly RunningContainer[],
  { name, containerId }: { name: string; containerId: string },
  pod: string,
): LpmError {
  const now = running.find((each) => each.name === name);
  return now
    ? new LpmError(
        'SourceChanged',
        `Container ${name} of pod ${pod} is ${now.cri.id.slice(0, 12)} now, not ${containerId.slice(0, 12)}: it was restarted.`,
      )
    : new LpmError('PodNotRunning', `Container ${name} of pod ${pod} is not running.`);
}
