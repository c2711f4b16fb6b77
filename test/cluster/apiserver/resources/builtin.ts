/** The built-in resources that are served. */
import { at, type KubeObject } from '../kube-object.js';
import { builtinSchema } from '../schema/builtin-schema.js';
import * as core from '../strategy/core.js';
import { crdStrategy } from '../strategy/crd.js';
import { podStrategy } from '../strategy/pod.js';
import { defaultPodSpec } from '../strategy/pod-defaults.js';
import * as workloads from '../strategy/workloads.js';
import { tables } from '../tables/builtin.js';
import { nameAndAge } from '../tables/table.js';
import { fromEventsV1, involvedObjectSelectors, toEventsV1 } from './events.js';
import type { Pod } from './pod-types.js';
import { standardVerbs, type Resource, type Strategy } from './resource.js';

interface Entry {
  kind: string;
  plural: string;
  /** Model in @kubernetes/client-node. Default: the version in capitals and the kind. */
  model?: string;
  cluster?: true;
  short?: string[];
  categories?: string[];
  status?: true;
  /** metadata.generation is kept for kinds with a spec that controllers follow. */
  generation?: true;
  scale?: Resource['scale'];
  strategy?: Strategy;
  fields?: Resource['fieldSelectors'];
}

const path =
  (...steps: string[]) =>
  (object: KubeObject) => {
    const value = at(object, ...steps);
    return value === undefined || value === null ? '' : String(value);
  };

const replicas: NonNullable<Resource['scale']> = {
  specPath: '.spec.replicas',
  statusPath: '.status.replicas',
  selectorPath: '.spec.selector',
};

const podFields: Resource['fieldSelectors'] = {
  'spec.nodeName': path('spec', 'nodeName'),
  'spec.restartPolicy': path('spec', 'restartPolicy'),
  'spec.schedulerName': path('spec', 'schedulerName'),
  'spec.serviceAccountName': path('spec', 'serviceAccountName'),
  'spec.hostNetwork': (object) => String(at(object.spec, 'hostNetwork') ?? false),
  'status.phase': path('status', 'phase'),
  'status.podIP': path('status', 'podIP'),
  'status.nominatedNodeName': path('status', 'nominatedNodeName'),
};

const eventFields: Resource['fieldSelectors'] = {
  ...involvedObjectSelectors,
  reason: path('reason'),
  type: path('type'),
  reportingComponent: path('reportingComponent'),
  source: path('source', 'component'),
};

const all = ['all'];

const groups: Record<string, Entry[]> = {
  '/v1': [
    {
      kind: 'Namespace',
      plural: 'namespaces',
      cluster: true,
      short: ['ns'],
      status: true,
      strategy: core.namespaceStrategy,
      fields: { 'status.phase': path('status', 'phase') },
    },
    {
      kind: 'Node',
      plural: 'nodes',
      cluster: true,
      short: ['no'],
      status: true,
      strategy: core.nodeStrategy,
      fields: { 'spec.unschedulable': (object) => String(at(object.spec, 'unschedulable') ?? false) },
    },
    {
      kind: 'Pod',
      plural: 'pods',
      short: ['po'],
      categories: all,
      status: true,
      generation: true,
      strategy: podStrategy,
      fields: podFields,
    },
    { kind: 'PodTemplate', plural: 'podtemplates' },
    {
      kind: 'ReplicationController',
      plural: 'replicationcontrollers',
      short: ['rc'],
      categories: all,
      status: true,
      generation: true,
    },
    {
      kind: 'Event',
      plural: 'events',
      model: 'CoreV1Event',
      short: ['ev'],
      strategy: { ...core.eventStrategy, nameRule: 'path' },
      fields: eventFields,
    },
    { kind: 'ConfigMap', plural: 'configmaps', short: ['cm'], strategy: core.configMapStrategy },
    { kind: 'Secret', plural: 'secrets', strategy: core.secretStrategy, fields: { type: path('type') } },
    {
      kind: 'ServiceAccount',
      plural: 'serviceaccounts',
      short: ['sa'],
      strategy: core.serviceAccountStrategy,
    },
    {
      kind: 'Service',
      plural: 'services',
      short: ['svc'],
      categories: all,
      status: true,
      strategy: core.serviceStrategy,
      fields: { 'spec.clusterIP': path('spec', 'clusterIP'), 'spec.type': path('spec', 'type') },
    },
    { kind: 'Endpoints', plural: 'endpoints', short: ['ep'] },
    {
      kind: 'PersistentVolume',
      plural: 'persistentvolumes',
      cluster: true,
      short: ['pv'],
      status: true,
      strategy: core.persistentVolumeStrategy,
    },
    {
      kind: 'PersistentVolumeClaim',
      plural: 'persistentvolumeclaims',
      short: ['pvc'],
      status: true,
      strategy: core.persistentVolumeClaimStrategy,
    },
    {
      kind: 'ResourceQuota',
      plural: 'resourcequotas',
      short: ['quota'],
      status: true,
      strategy: core.resourceQuotaStrategy,
    },
    { kind: 'LimitRange', plural: 'limitranges', short: ['limits'] },
  ],
  'apps/v1': [
    {
      kind: 'Deployment',
      plural: 'deployments',
      short: ['deploy'],
      categories: all,
      status: true,
      generation: true,
      scale: replicas,
      strategy: workloads.deploymentStrategy,
    },
    {
      kind: 'ReplicaSet',
      plural: 'replicasets',
      short: ['rs'],
      categories: all,
      status: true,
      generation: true,
      scale: replicas,
      strategy: workloads.replicaSetStrategy,
    },
    {
      kind: 'StatefulSet',
      plural: 'statefulsets',
      short: ['sts'],
      categories: all,
      status: true,
      generation: true,
      scale: replicas,
      strategy: workloads.statefulSetStrategy,
    },
    {
      kind: 'DaemonSet',
      plural: 'daemonsets',
      short: ['ds'],
      categories: all,
      status: true,
      generation: true,
      strategy: workloads.daemonSetStrategy,
    },
    { kind: 'ControllerRevision', plural: 'controllerrevisions' },
  ],
  'batch/v1': [
    {
      kind: 'Job',
      plural: 'jobs',
      categories: all,
      status: true,
      generation: true,
      strategy: workloads.jobStrategy,
      fields: { 'status.successful': path('status', 'succeeded') },
    },
    { kind: 'CronJob', plural: 'cronjobs', short: ['cj'], categories: all, status: true, generation: true },
  ],
  'autoscaling/v2': [
    {
      kind: 'HorizontalPodAutoscaler',
      plural: 'horizontalpodautoscalers',
      short: ['hpa'],
      categories: all,
      status: true,
    },
  ],
  'policy/v1': [
    {
      kind: 'PodDisruptionBudget',
      plural: 'poddisruptionbudgets',
      short: ['pdb'],
      status: true,
      generation: true,
    },
  ],
  'events.k8s.io/v1': [
    {
      kind: 'Event',
      plural: 'events',
      model: 'EventsV1Event',
      short: ['ev'],
      strategy: { nameRule: 'path' },
      fields: eventFields,
    },
  ],
  'coordination.k8s.io/v1': [{ kind: 'Lease', plural: 'leases' }],
  'discovery.k8s.io/v1': [{ kind: 'EndpointSlice', plural: 'endpointslices' }],
  'node.k8s.io/v1': [
    { kind: 'RuntimeClass', plural: 'runtimeclasses', cluster: true, strategy: core.runtimeClassStrategy },
  ],
  'scheduling.k8s.io/v1': [
    {
      kind: 'PriorityClass',
      plural: 'priorityclasses',
      cluster: true,
      short: ['pc'],
      strategy: core.priorityClassStrategy,
    },
  ],
  'storage.k8s.io/v1': [
    {
      kind: 'StorageClass',
      plural: 'storageclasses',
      cluster: true,
      short: ['sc'],
      strategy: core.storageClassStrategy,
    },
    { kind: 'VolumeAttachment', plural: 'volumeattachments', cluster: true, status: true },
    { kind: 'CSIDriver', plural: 'csidrivers', cluster: true },
    { kind: 'CSINode', plural: 'csinodes', cluster: true },
  ],
  'networking.k8s.io/v1': [
    { kind: 'NetworkPolicy', plural: 'networkpolicies', short: ['netpol'] },
    { kind: 'Ingress', plural: 'ingresses', short: ['ing'], status: true },
  ],
  'rbac.authorization.k8s.io/v1': [
    { kind: 'Role', plural: 'roles', strategy: { nameRule: 'path' } },
    { kind: 'RoleBinding', plural: 'rolebindings', strategy: { nameRule: 'path' } },
    { kind: 'ClusterRole', plural: 'clusterroles', cluster: true, strategy: { nameRule: 'path' } },
    {
      kind: 'ClusterRoleBinding',
      plural: 'clusterrolebindings',
      cluster: true,
      strategy: { nameRule: 'path' },
    },
  ],
  'admissionregistration.k8s.io/v1': [
    {
      kind: 'MutatingWebhookConfiguration',
      plural: 'mutatingwebhookconfigurations',
      cluster: true,
      categories: ['api-extensions'],
    },
    {
      kind: 'ValidatingWebhookConfiguration',
      plural: 'validatingwebhookconfigurations',
      cluster: true,
      categories: ['api-extensions'],
    },
    {
      kind: 'ValidatingAdmissionPolicy',
      plural: 'validatingadmissionpolicies',
      cluster: true,
      categories: ['api-extensions'],
      status: true,
      generation: true,
    },
    {
      kind: 'ValidatingAdmissionPolicyBinding',
      plural: 'validatingadmissionpolicybindings',
      cluster: true,
      categories: ['api-extensions'],
    },
  ],
  'certificates.k8s.io/v1': [
    {
      kind: 'CertificateSigningRequest',
      plural: 'certificatesigningrequests',
      cluster: true,
      short: ['csr'],
      status: true,
    },
  ],
  'apiextensions.k8s.io/v1': [
    {
      kind: 'CustomResourceDefinition',
      plural: 'customresourcedefinitions',
      cluster: true,
      short: ['crd', 'crds'],
      categories: ['api-extensions'],
      status: true,
      generation: true,
      strategy: crdStrategy,
    },
  ],
};

const same = (object: KubeObject) => object;

function decoderOf(kind: string): (object: KubeObject) => string[] {
  if (kind !== 'Pod') return () => [];
  return (object) => {
    const pod = object as Pod;
    if (pod.spec) defaultPodSpec(pod.spec);
    return [];
  };
}

export function builtinResources(): Resource[] {
  return Object.entries(groups).flatMap(([groupVersion, entries]) => {
    const [group = '', version = ''] = groupVersion.split('/');
    return entries.map((entry): Resource => {
      const isEventsV1 = groupVersion === 'events.k8s.io/v1';
      return {
        group,
        version,
        plural: entry.plural,
        singular: entry.kind.toLowerCase(),
        kind: entry.kind,
        listKind: `${entry.kind}List`,
        namespaced: !entry.cluster,
        shortNames: entry.short ?? [],
        categories: entry.categories ?? [],
        verbs: standardVerbs,
        storage: isEventsV1 ? '/events' : `${group}/${entry.plural}`,
        schema: builtinSchema(entry.model ?? `V${version.slice(1)}${entry.kind}`),
        isCustom: false,
        hasStatus: entry.status ?? false,
        hasGeneration: entry.generation ?? false,
        ...(entry.scale ? { scale: entry.scale } : {}),
        strategy: entry.strategy ?? {},
        table: tables[entry.kind] ?? nameAndAge,
        fieldSelectors: entry.fields ?? {},
        decode: decoderOf(entry.kind),
        toStorage: isEventsV1 ? fromEventsV1 : same,
        fromStorage: isEventsV1 ? toEventsV1 : same,
      };
    });
  });
}
