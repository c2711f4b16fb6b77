/** The kinds that the workload controllers work on, with times as the strings that they are. */
import type {
  V1ControllerRevision,
  V1DaemonSet,
  V1Deployment,
  V1Endpoints,
  V1EndpointSlice,
  V1Job,
  V1PodDisruptionBudget,
  V1ReplicaSet,
  V1ResourceQuota,
  V1Service,
  V1StatefulSet,
} from '@kubernetes/client-node';
import type { ObjectMeta } from '../../../common/api/schema.js';
import { ResourceClient, type KubeClient } from '../../../common/kube/client.js';
import type { KubeObject, Plain } from '../../../common/kube/types.js';

type Typed<T extends { metadata?: unknown }> = Omit<Plain<T>, 'metadata'> & { metadata: ObjectMeta };

export type ControllerRevision = Typed<V1ControllerRevision>;
export type DaemonSet = Typed<V1DaemonSet>;
export type Deployment = Typed<V1Deployment>;
export type Endpoints = Typed<V1Endpoints>;
export type EndpointSlice = Typed<V1EndpointSlice>;
export type Job = Typed<V1Job>;
export type PodDisruptionBudget = Typed<V1PodDisruptionBudget>;
export type ReplicaSet = Typed<V1ReplicaSet>;
export type ResourceQuota = Typed<V1ResourceQuota>;
export type Service = Typed<V1Service>;
export type StatefulSet = Typed<V1StatefulSet>;

/** Clients for them. */
export function workloadClients(client: KubeClient) {
  const of = <T extends KubeObject>(group: string, plural: string, kind: string): ResourceClient<T> =>
    new ResourceClient<T>(client, { group, version: 'v1', plural, kind });
  return {
    pods: client.pods,
    nodes: client.nodes,
    events: client.events,
    replicaSets: of<ReplicaSet>('apps', 'replicasets', 'ReplicaSet'),
    deployments: of<Deployment>('apps', 'deployments', 'Deployment'),
    statefulSets: of<StatefulSet>('apps', 'statefulsets', 'StatefulSet'),
    daemonSets: of<DaemonSet>('apps', 'daemonsets', 'DaemonSet'),
    revisions: of<ControllerRevision>('apps', 'controllerrevisions', 'ControllerRevision'),
    jobs: of<Job>('batch', 'jobs', 'Job'),
    services: of<Service>('', 'services', 'Service'),
    endpoints: of<Endpoints>('', 'endpoints', 'Endpoints'),
    endpointSlices: of<EndpointSlice>('discovery.k8s.io', 'endpointslices', 'EndpointSlice'),
    budgets: of<PodDisruptionBudget>('policy', 'poddisruptionbudgets', 'PodDisruptionBudget'),
    quotas: of<ResourceQuota>('', 'resourcequotas', 'ResourceQuota'),
  };
}

export type WorkloadClients = ReturnType<typeof workloadClients>;
