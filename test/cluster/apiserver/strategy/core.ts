/** The rules of the core kinds besides pods. */
import type { Api } from '../api.js';
import { at, fieldsOf, isFields, listOf, textOf, type Fields, type KubeObject } from '../kube-object.js';
import type { Strategy } from '../resources/resource.js';
import { fieldError, forbidden, type FieldError } from '../status-error.js';
import { timestamp } from '../time.js';
import { immutable } from '../validation/metadata.js';

const protectedNamespaces = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);

export const namespaceStrategy: Strategy = {
  nameRule: 'label',
  returnsDeletedObject: true,
  prepareForCreate(object) {
    object.metadata.labels = {
      ...object.metadata.labels,
      'kubernetes.io/metadata.name': object.metadata.name,
    };
    object.spec = { finalizers: ['kubernetes'] };
    object.status = { phase: 'Active' };
  },
  prepareForUpdate(next, old) {
    next.metadata.labels = { ...next.metadata.labels, 'kubernetes.io/metadata.name': old.metadata.name };
    // Only the subresource finalize changes these.
    next.spec = old.spec;
  },
  beginDeletion(next) {
    next.status = { ...fieldsOf(next.status), phase: 'Terminating' };
  },
  // Until the namespace controller has emptied it.
  isHeld: (object) => listOf(at(object.spec, 'finalizers')).length > 0,
  beforeDelete(object) {
    if (protectedNamespaces.has(object.metadata.name)) {
      throw forbidden(
        { group: '', plural: 'namespaces', kind: 'Namespace' },
        object.metadata.name,
        'this namespace may not be deleted',
      );
    }
  },
};

export const nodeStrategy: Strategy = {
  keepsStatusOnCreate: true,
  statusMayChangeMetadata: true,
  prepareForCreate(object) {
    object.spec = isFields(object.spec) ? object.spec : {};
    object.status = isFields(object.status) ? object.status : {};
  },
  prepareForUpdate(next, old) {
    next.spec = isFields(next.spec) ? next.spec : {};
    const podCidr = at(old.spec, 'podCIDR');
    if (podCidr !== undefined) (next.spec as Fields)['podCIDR'] ??= podCidr;
  },
};

export const secretStrategy: Strategy = {
  prepareForCreate(object) {
    object['type'] ??= 'Opaque';
    mergeStringData(object);
  },
  prepareForUpdate(next) {
    next['type'] ??= 'Opaque';
    mergeStringData(next);
  },
  validate: (object) => dataErrors(object),
  validateUpdate: (next, old) => [
    ...dataErrors(next),
    ...immutable(next['type'], old['type'], 'type'),
    ...immutableData(next, old),
  ],
};

function mergeStringData(secret: KubeObject): void {
  if (!isFields(secret['stringData'])) return;
  const data: Fields = isFields(secret['data']) ? secret['data'] : {};
  for (const [key, text] of Object.entries(secret['stringData'])) {
    data[key] = Buffer.from(String(text)).toString('base64');
  }
  secret['data'] = data;
  delete secret['stringData'];
}

const maxDataBytes = 1024 * 1024;

function dataErrors(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const field of ['data', 'binaryData']) {
    const data = object[field];
    if (!isFields(data)) continue;
    for (const [key, value] of Object.entries(data)) {
      size += textOf(value).length;
      if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key)) {
        errors.push(
          fieldError.invalid(
            `${field}[${key}]`,
            key,
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
          ),
        );
      }
    }
  }
  if (size > maxDataBytes) errors.push(fieldError.tooLong('data', maxDataBytes));
  return errors;
}

function immutableData(next: KubeObject, old: KubeObject): FieldError[] {
  if (old['immutable'] !== true) return [];
  if (next['immutable'] !== true)
    return [fieldError.forbidden('immutable', 'field is immutable when `immutable` is set')];
  return ['data', 'binaryData'].flatMap((field) =>
    immutable(next[field], old[field], field).map(() =>
      fieldError.forbidden(field, 'field is immutable when `immutable` is set'),
    ),
  );
}

export const configMapStrategy: Strategy = {
  validate: (object) => dataErrors(object),
  validateUpdate: (next, old) => [...dataErrors(next), ...immutableData(next, old)],
};

export const serviceAccountStrategy: Strategy = { returnsDeletedObject: true };

/** The first address is that of the API server itself, as in a cluster made by kubeadm. */
const servicePrefix = '10.96.';
export const apiServiceAddress = '10.96.0.1';

export const serviceStrategy: Strategy = {
  nameRule: 'service',
  returnsDeletedObject: true,
  prepareForCreate(object, api) {
    defaultService(object);
    const spec = object.spec as Fields;
    if (spec['type'] !== 'ExternalName' && !spec['clusterIP']) spec['clusterIP'] = freeAddress(api);
    if (spec['clusterIP']) spec['clusterIPs'] ??= [spec['clusterIP']];
    object.status = { loadBalancer: {} };
  },
  prepareForUpdate(next, old) {
    const spec = isFields(next.spec) ? next.spec : {};
    next.spec = spec;
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) {
      const value = at(old.spec, field);
      if (value !== undefined) spec[field] ??= value;
    }
    defaultService(next);
  },
  validate: serviceErrors,
  validateUpdate: (next, old) => [
    ...serviceErrors(next),
    ...immutable(at(next.spec, 'clusterIP'), at(old.spec, 'clusterIP'), 'spec.clusterIP'),
  ],
};

function defaultService(object: KubeObject): void {
  const spec = isFields(object.spec) ? object.spec : {};
  object.spec = spec;
  spec['type'] ??= 'ClusterIP';
  spec['sessionAffinity'] ??= 'None';
  if (spec['type'] !== 'ExternalName') {
    spec['internalTrafficPolicy'] ??= 'Cluster';
    spec['ipFamilies'] ??= ['IPv4'];
    spec['ipFamilyPolicy'] ??= 'SingleStack';
  }
  for (const port of listOf(spec['ports'])) {
    if (!isFields(port)) continue;
    port['protocol'] ??= 'TCP';
    port['targetPort'] ??= port['port'];
  }
}

function serviceErrors(object: KubeObject): FieldError[] {
  const ports = listOf(at(object.spec, 'ports'));
  const type = at(object.spec, 'type');
  if (ports.length === 0 && type !== 'ExternalName' && at(object.spec, 'clusterIP') !== 'None') {
    return [fieldError.required('spec.ports')];
  }
  return ports.flatMap((port, i) => {
    const number = at(port, 'port');
    if (typeof number !== 'number' || number < 1 || number > 65535) {
      return [
        fieldError.invalid(`spec.ports[${i}].port`, number ?? 0, 'must be between 1 and 65535, inclusive'),
      ];
    }
    if (ports.length > 1 && !at(port, 'name')) return [fieldError.required(`spec.ports[${i}].name`)];
    return [];
  });
}

function freeAddress(api: Api): string {
  const used = new Set<unknown>([apiServiceAddress]);
  for (const service of api.store.list('/services')) used.add(at(service.spec, 'clusterIP'));
  for (let n = 2; n < 65535; n++) {
    const address = `${servicePrefix}${n >>> 8}.${n & 255}`;
    if (!used.has(address)) return address;
  }
  throw new Error('all service addresses are taken');
}

export const persistentVolumeStrategy: Strategy = {
  returnsDeletedObject: true,
  prepareForCreate(object) {
    const spec = isFields(object.spec) ? object.spec : {};
    object.spec = spec;
    spec['persistentVolumeReclaimPolicy'] ??= 'Retain';
    spec['volumeMode'] ??= 'Filesystem';
    object.status = { phase: 'Available' };
  },
};

export const persistentVolumeClaimStrategy: Strategy = {
  returnsDeletedObject: true,
  prepareForCreate(object) {
    const spec = isFields(object.spec) ? object.spec : {};
    object.spec = spec;
    spec['volumeMode'] ??= 'Filesystem';
    object.status = { phase: 'Pending' };
  },
};

export const eventStrategy: Strategy = {
  prepareForCreate(object) {
    object['count'] ??= 1;
    object['type'] ??= 'Normal';
    object['firstTimestamp'] ??= timestamp();
    object['lastTimestamp'] ??= timestamp();
  },
};

export const resourceQuotaStrategy: Strategy = {
  returnsDeletedObject: true,
  prepareForCreate(object) {
    object.status = {};
  },
};

export const priorityClassStrategy: Strategy = {
  prepareForCreate(object) {
    object['preemptionPolicy'] ??= 'PreemptLowerPriority';
  },
  validateUpdate: (next, old) => immutable(next['value'], old['value'], 'value'),
};

export const runtimeClassStrategy: Strategy = {
  validate: (object) => (object['handler'] ? [] : [fieldError.required('handler')]),
  validateUpdate: (next, old) => immutable(next['handler'], old['handler'], 'handler'),
};

export const storageClassStrategy: Strategy = {
  prepareForCreate(object) {
    object['reclaimPolicy'] ??= 'Delete';
    object['volumeBindingMode'] ??= 'Immediate';
  },
};
