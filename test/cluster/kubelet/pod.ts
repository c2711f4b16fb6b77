import { parseQuantity as valueOf } from '../quantity.js';
import type { V1Pod } from '@kubernetes/client-node';
import type { Plain, Pod } from '../../../common/kube/types.js';

export type { Pod };
type Spec = NonNullable<Plain<V1Pod>['spec']>;
export type PodSpec = Spec;
export type ContainerSpec = Spec['containers'][number];
export type VolumeSpec = NonNullable<Spec['volumes']>[number];
export type PodStatus = NonNullable<Plain<V1Pod>['status']>;
export type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number];
export type ContainerState = NonNullable<ContainerStatus['state']>;
export type PodCondition = NonNullable<PodStatus['conditions']>[number];

export const uidOf = (pod: Pod): string => pod.metadata.uid ?? '';
export const namespaceOf = (pod: Pod): string => pod.metadata.namespace ?? 'default';
export const specOf = (pod: Pod): PodSpec => pod.spec as PodSpec;
export const podKey = (pod: Pod): string => `${namespaceOf(pod)}/${pod.metadata.name}`;

/** Seconds that the API server granted when the pod's deletion was asked for. */
export const deletionGrace = (pod: Pod): number | undefined =>
  (pod.metadata as { deletionGracePeriodSeconds?: number }).deletionGracePeriodSeconds;

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

/**
 * A pod's quality of service class: Guaranteed when every container's limits of CPU and memory equal its requests,
 * BestEffort when none has any (https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/).
 */
export function qosClass(pod: Pod): QosClass {
  const spec = specOf(pod);
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  const names = ['cpu', 'memory'] as const;
  let any = false;
  let guaranteed = true;
  for (const { resources } of containers) {
    for (const name of names) {
      const limit = parseQuantity(resources?.limits?.[name] ?? '0');
      const request = parseQuantity(resources?.requests?.[name] ?? resources?.limits?.[name] ?? '0');
      if (limit > 0 || request > 0) any = true;
      if (limit === 0 || limit !== request) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

/** The number that a Kubernetes quantity ("250m", "64Mi", "1e3") stands for; 0 for what is none. */
export function parseQuantity(quantity: string | number): number {
  return valueOf(String(quantity).trim()) ?? 0;
}
