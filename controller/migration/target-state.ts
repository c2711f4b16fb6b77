/** How far the target pod is: whether its handlers wait, and what keeps them from it. */
import type { Pod } from '../../common/kube/types.js';
import type { TargetState } from '../../proto/gen/lpm/v1/agent.js';
import { failureOf, type Failure } from '../agents/failure.js';
import type { Answer } from './facts.js';

/** A handler must be willing to wait so much longer, or the source is not frozen. */
export const MIN_WAIT_LEFT_SECONDS = 20;

/** What the kubelet says when trying again by itself is no use, or has been of none. */
const HOPELESS = new Set([
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'CreateContainerConfigError',
]);

/**
 * True when the handler of the first container waits, with enough time left for a dump. The kubelet comes to the next
 * container only when the one before it is there.
 *
 * @param containers in the order of the pod's spec
 */
export function handlersWaiting(state: TargetState, containers: readonly string[]): boolean {
  const [first] = containers.map((name) => state.containers.find((other) => other.name === name));
  if (!first?.waiting || state.containers.some(({ attempted }) => attempted)) return false;
  return first.waitLeft !== undefined && Number(first.waitLeft.seconds) >= MIN_WAIT_LEFT_SECONDS;
}

/** True when the restored processes have executed, for certain: the commit. */
export function hasExecuted(
  state: TargetState,
  { sourceContainers = [] }: { sourceContainers?: readonly { name: string }[] },
): boolean {
  return (
    sourceContainers.length > 0 &&
    sourceContainers.every(({ name }) => state.containers.find((one) => one.name === name)?.completed)
  );
}

/** Why the target pod will not get there, in the kubelet's or scheduler's words. */
export function targetTrouble(pod: Pod, warning: string | undefined): Failure | undefined {
  const { name } = pod.metadata;
  for (const status of pod.status?.containerStatuses ?? []) {
    const waiting = status.state?.waiting;
    if (!waiting?.reason || !HOPELESS.has(waiting.reason)) continue;
    return failureOf(
      'TargetPodFailed',
      `Container ${status.name} of pod ${name} cannot be prepared (${waiting.reason}): ${waiting.message ?? warning ?? 'the kubelet does not say why'}.`,
      `Look at node ${pod.spec?.nodeName}: can it pull the image?`,
    );
  }
  return undefined;
}

/** What the target is waited for, as a sentence. */
export function waitingFor(
  pod: Pod,
  state: Answer<TargetState> | undefined,
  warning: string | undefined,
): string {
  const what = `Pod ${pod.metadata.name} is being prepared on node ${pod.spec?.nodeName}`;
  const waiting = pod.status?.containerStatuses?.find((status) => status.state?.waiting?.message)?.state
    ?.waiting;
  const why = waiting?.message ?? warning ?? state?.failure?.message;
  return why ? `${what}: ${why.replace(/\.$/, '')}.` : `${what}.`;
}
