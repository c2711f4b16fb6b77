/** Kinds that only doctor and install look at. */
import type {
  V1CustomResourceDefinition,
  V1DaemonSet,
  V1Deployment,
  V1PersistentVolumeClaim,
  V1RuntimeClass,
} from '@kubernetes/client-node';
import { ResourceClient, type KubeClient } from '../../common/kube/client.js';
import type { KubeObject, Plain, Typed } from '../../common/kube/types.js';

export type Deployment = Typed<V1Deployment>;
export type DaemonSet = Typed<V1DaemonSet>;
export type RuntimeClass = Typed<V1RuntimeClass>;
export type Claim = Typed<V1PersistentVolumeClaim>;
/** The schema is walked, not typed. */
export type Crd = KubeObject & Pick<Plain<V1CustomResourceDefinition>, 'spec' | 'status'>;

export const DEPLOYMENT = 'lpm-controller-manager';
export const DAEMON_SET = 'lpm-live-pod-migration-controller-checkpoint-agent';
export const LEASE = 'lpm-controller';
/** Secret with a certificate that somebody gives the controller. */
export const GIVEN_SECRET = 'lpm-controller-tls';
export const REPOSITORY_CLAIM = 'checkpoint-repo';

export function resources(client: KubeClient) {
  const of = <T extends KubeObject>(group: string, kind: string, plural: string) =>
    new ResourceClient<T>(client, { group, version: 'v1', kind, plural });
  return {
    deployments: of<Deployment>('apps', 'Deployment', 'deployments'),
    daemonSets: of<DaemonSet>('apps', 'DaemonSet', 'daemonsets'),
    runtimeClasses: of<RuntimeClass>('node.k8s.io', 'RuntimeClass', 'runtimeclasses'),
    claims: of<Claim>('', 'PersistentVolumeClaim', 'persistentvolumeclaims'),
    crds: of<Crd>('apiextensions.k8s.io', 'CustomResourceDefinition', 'customresourcedefinitions'),
  };
}
