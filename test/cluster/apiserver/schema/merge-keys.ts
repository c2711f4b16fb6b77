/**
 * What the types of Kubernetes say about merging their lists (the tags patchStrategy, patchMergeKey, listType and
 * listMapKey in k8s.io/api). The generated models do not carry it. Lists that are not named here are replaced whole.
 */
import type { Schema } from './schema.js';

type Hint = Pick<
  Schema,
  | 'x-kubernetes-list-type'
  | 'x-kubernetes-list-map-keys'
  | 'x-kubernetes-map-type'
  | 'x-kubernetes-patch-strategy'
  | 'x-kubernetes-patch-merge-key'
>;

/** A list of objects merged by a key; `mapKeys` where server-side apply needs more than one field to tell them apart. */
function by(mergeKey: string, options: { retainKeys?: boolean; mapKeys?: string[] } = {}): Hint {
  return {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': options.mapKeys ?? [mergeKey],
    'x-kubernetes-patch-strategy': options.retainKeys ? 'merge,retainKeys' : 'merge',
    'x-kubernetes-patch-merge-key': mergeKey,
  };
}

const set: Hint = { 'x-kubernetes-list-type': 'set', 'x-kubernetes-patch-strategy': 'merge' };
const retainKeys: Hint = { 'x-kubernetes-patch-strategy': 'retainKeys' };
const atomicMap: Hint = { 'x-kubernetes-map-type': 'atomic' };

const containerLists: Record<string, Hint> = {
  env: by('name'),
  ports: by('containerPort', { mapKeys: ['containerPort', 'protocol'] }),
  volumeMounts: by('mountPath'),
  volumeDevices: by('devicePath'),
};

/** By model name (as in @kubernetes/client-node), then by field. */
export const mergeHints: Record<string, Record<string, Hint>> = {
  V1ObjectMeta: { ownerReferences: by('uid'), finalizers: set },
  V1PodSpec: {
    volumes: by('name', { retainKeys: true }),
    containers: by('name'),
    initContainers: by('name'),
    ephemeralContainers: by('name'),
    imagePullSecrets: by('name'),
    hostAliases: by('ip'),
    topologySpreadConstraints: by('topologyKey', { mapKeys: ['topologyKey', 'whenUnsatisfiable'] }),
    resourceClaims: by('name', { retainKeys: true }),
    schedulingGates: by('name'),
    nodeSelector: atomicMap,
  },
  V1Container: containerLists,
  V1EphemeralContainer: containerLists,
  V1ResourceRequirements: {
    claims: { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
  },
  V1PodStatus: {
    conditions: by('type'),
    podIPs: by('ip'),
    hostIPs: by('ip'),
    resourceClaimStatuses: by('name', { retainKeys: true }),
  },
  V1NodeSpec: { podCIDRs: set },
  V1NodeStatus: { conditions: by('type'), addresses: by('type') },
  V1NamespaceStatus: { conditions: by('type') },
  V1ServiceSpec: { ports: by('port', { mapKeys: ['port', 'protocol'] }), selector: atomicMap },
  V1ServiceStatus: { conditions: by('type') },
  V1ServiceAccount: { secrets: by('name') },
  V1PersistentVolumeClaimStatus: { conditions: by('type') },
  V1DeploymentSpec: { strategy: retainKeys },
  V1DeploymentStatus: { conditions: by('type') },
  V1ReplicaSetStatus: { conditions: by('type') },
  V1StatefulSetStatus: { conditions: by('type') },
  V1DaemonSetStatus: { conditions: by('type') },
  V1JobStatus: { conditions: by('type') },
  V1ReplicationControllerStatus: { conditions: by('type') },
  V1PodDisruptionBudgetStatus: { conditions: by('type') },
  V1CustomResourceDefinitionStatus: { conditions: by('type') },
  V1CSINodeSpec: { drivers: by('name') },
  V1MutatingWebhookConfiguration: { webhooks: by('name') },
  V1ValidatingWebhookConfiguration: { webhooks: by('name') },
  V1MutatingWebhook: { matchConditions: by('name') },
  V1ValidatingWebhook: { matchConditions: by('name') },
  V1ValidatingAdmissionPolicySpec: { matchConditions: by('name'), variables: by('name') },
  V1Secret: {},
};

/** Objects that server-side apply owns and replaces as one. */
export const atomicModels = new Set([
  'V1LabelSelector',
  'V1ObjectReference',
  'V1LocalObjectReference',
  'V1TypedLocalObjectReference',
  'V1SecretKeySelector',
  'V1ConfigMapKeySelector',
  'V1ObjectFieldSelector',
  'V1ResourceFieldSelector',
  'V1NodeSelector',
  'V1NodeSelectorTerm',
  'V1TopologySelectorTerm',
  'V1SecretReference',
  'V1OwnerReference',
]);

/** Fields of type resource.Quantity: numbers are accepted and kept as text. By model, then field. */
export const quantityFields: Record<string, readonly string[]> = {
  V1ResourceRequirements: ['limits', 'requests'],
  V1VolumeResourceRequirements: ['limits', 'requests'],
  V1PodSpec: ['overhead'],
  V1Overhead: ['podFixed'],
  V1NodeStatus: ['capacity', 'allocatable'],
  V1PersistentVolumeSpec: ['capacity'],
  V1PersistentVolumeClaimStatus: ['capacity', 'allocatedResources'],
  V1ResourceQuotaSpec: ['hard'],
  V1ResourceQuotaStatus: ['hard', 'used'],
  V1LimitRangeItem: ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'],
  V1EmptyDirVolumeSource: ['sizeLimit'],
  V1ResourceFieldSelector: ['divisor'],
  V1ContainerStatus: ['allocatedResources'],
};
