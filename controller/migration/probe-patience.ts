/** How long a frozen container is left alone by its kubelet. */
import type { Pod } from '../../common/kube/types.js';

type Container = NonNullable<Pod['spec']>['containers'][number];
type Probe = NonNullable<Container['livenessProbe']>;

/**
 * Seconds after which the kubelet gives up a container that answers no probe any more, in the worst case: the first probe
 * comes right after the freeze and fails by its timeout, the others follow period by period
 * (https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/). Infinity without such a probe.
 * A startup probe counts only for as long as the container has not started.
 */
export function probePatienceSeconds(container: Container, started: boolean): number {
  const probe = started ? container.livenessProbe : container.startupProbe;
  return probe ? patience(probe) : Infinity;
}

function patience({ periodSeconds = 10, failureThreshold = 3, timeoutSeconds = 1 }: Probe): number {
  return (failureThreshold - 1) * periodSeconds + timeoutSeconds;
}

/** The least of all containers of a pod. */
export function podPatienceSeconds(pod: Pod): number {
  const started = (name: string): boolean =>
    pod.status?.containerStatuses?.find((status) => status.name === name)?.started ?? true;
  return Math.min(
    ...(pod.spec?.containers ?? []).map((container) =>
      probePatienceSeconds(container, started(container.name)),
    ),
  );
}
