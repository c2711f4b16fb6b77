/** Tables of what a cluster consists of: namespaces, nodes, volumes, leases, definitions. */
import { at, isFields, listOf, textOf, type KubeObject } from '../kube-object.js';
import { age } from '../time.js';
import { simpleTable } from './simple.js';
import type { TableSpec } from './table.js';

const namespaces = simpleTable([['Status', (object) => textOf(at(object.status, 'phase'))], 'Age']);

const nodes = simpleTable([
  ['Status', nodeStatus],
  ['Roles', nodeRoles],
  'Age',
  ['Version', (node) => textOf(at(node.status, 'nodeInfo', 'kubeletVersion'))],
  ['Internal-IP', (node) => address(node, 'InternalIP'), 1],
  ['External-IP', (node) => address(node, 'ExternalIP'), 1],
  ['OS-Image', (node) => info(node, 'osImage'), 1],
  ['Kernel-Version', (node) => info(node, 'kernelVersion'), 1],
  ['Container-Runtime', (node) => info(node, 'containerRuntimeVersion'), 1],
]);

function nodeStatus(node: KubeObject): string {
  const ready = listOf(at(node.status, 'conditions')).find((condition) => at(condition, 'type') === 'Ready');
  const words = [ready === undefined ? 'Unknown' : at(ready, 'status') === 'True' ? 'Ready' : 'NotReady'];
  if (at(node.spec, 'unschedulable') === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function nodeRoles(node: KubeObject): string {
  const roles = Object.entries(node.metadata.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith('node-role.kubernetes.io/')) return [key.slice('node-role.kubernetes.io/'.length)];
    return key === 'kubernetes.io/role' && value ? [value] : [];
  });
  return roles.length > 0 ? [...new Set(roles)].sort().join(',') : '<none>';
}

function address(node: KubeObject, type: string): string {
  const found = listOf(at(node.status, 'addresses')).find((entry) => at(entry, 'type') === type);
  return textOf(at(found, 'address')) || '<none>';
}

function info(node: KubeObject, field: string): string {
  return textOf(at(node.status, 'nodeInfo', field)) || '<unknown>';
}

const accessModeNames: Record<string, string> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

function accessModes(modes: unknown): string {
  return listOf(modes)
    .map((mode) => accessModeNames[String(mode)] ?? String(mode))
    .join(',');
}

const persistentVolumes = simpleTable([
  ['Capacity', (volume) => textOf(at(volume.spec, 'capacity', 'storage'))],
  ['Access Modes', (volume) => accessModes(at(volume.spec, 'accessModes'))],
  ['Reclaim Policy', (volume) => textOf(at(volume.spec, 'persistentVolumeReclaimPolicy'))],
  [
    'Status',
    (volume) => (volume.metadata.deletionTimestamp ? 'Terminating' : textOf(at(volume.status, 'phase'))),
  ],
  [
    'Claim',
    (volume) => {
      const claim = at(volume.spec, 'claimRef');
      return isFields(claim) ? `${String(claim['namespace'])}/${String(claim['name'])}` : '';
    },
  ],
  ['StorageClass', (volume) => textOf(at(volume.spec, 'storageClassName'))],
  ['VolumeAttributesClass', (volume) => textOf(at(volume.spec, 'volumeAttributesClassName')) || '<unset>'],
  ['Reason', (volume) => textOf(at(volume.status, 'reason'))],
  'Age',
  ['VolumeMode', (volume) => textOf(at(volume.spec, 'volumeMode')) || '<unset>', 1],
]);

const persistentVolumeClaims = simpleTable([
  [
    'Status',
    (claim) => (claim.metadata.deletionTimestamp ? 'Terminating' : textOf(at(claim.status, 'phase'))),
  ],
  ['Volume', (claim) => textOf(at(claim.spec, 'volumeName'))],
  [
    'Capacity',
    (claim) => (at(claim.spec, 'volumeName') ? textOf(at(claim.status, 'capacity', 'storage')) : ''),
  ],
  [
    'Access Modes',
    (claim) => (at(claim.spec, 'volumeName') ? accessModes(at(claim.status, 'accessModes')) : ''),
  ],
  ['StorageClass', (claim) => textOf(at(claim.spec, 'storageClassName'))],
  ['VolumeAttributesClass', (claim) => textOf(at(claim.spec, 'volumeAttributesClassName')) || '<unset>'],
  'Age',
  ['VolumeMode', (claim) => textOf(at(claim.spec, 'volumeMode')) || '<unset>', 1],
]);

/** The default class is marked behind its name. */
const storageClasses: TableSpec = {
  columns: [
    { name: 'Name', type: 'string', format: 'name' },
    { name: 'Provisioner', type: 'string' },
    { name: 'ReclaimPolicy', type: 'string' },
    { name: 'VolumeBindingMode', type: 'string' },
    { name: 'AllowVolumeExpansion', type: 'string' },
    { name: 'Age', type: 'string' },
  ],
  row: (object, now) => {
    const isDefault = object.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true';
    return [
      object.metadata.name + (isDefault ? ' (default)' : ''),
      object['provisioner'],
      object['reclaimPolicy'],
      object['volumeBindingMode'],
      object['allowVolumeExpansion'] ?? false,
      age(object.metadata.creationTimestamp, now),
    ];
  },
};

export const clusterTables: Record<string, TableSpec> = {
  Namespace: namespaces,
  Node: nodes,
  PersistentVolume: persistentVolumes,
  PersistentVolumeClaim: persistentVolumeClaims,
  StorageClass: storageClasses,
  Lease: simpleTable([['Holder', (lease) => textOf(at(lease.spec, 'holderIdentity'))], 'Age']),
  RuntimeClass: simpleTable([['Handler', (object) => textOf(object['handler'])], 'Age']),
  PriorityClass: simpleTable([
    ['Value', (object) => object['value']],
    ['Global-Default', (object) => object['globalDefault'] ?? false],
    'Age',
    ['PreemptionPolicy', (object) => textOf(object['preemptionPolicy'])],
  ]),
  CustomResourceDefinition: simpleTable([['Created At', (object) => object.metadata.creationTimestamp]]),
};
