/** Tables of configuration, access and policy. */
import { at, isFields, listOf, textOf, type KubeObject } from '../kube-object.js';
import { humanDuration } from '../time.js';
import { simpleTable } from './simple.js';
import type { TableSpec } from './table.js';

function count(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return isFields(value) ? Object.keys(value).length : 0;
}

function servicePorts(service: KubeObject): string {
  const ports = listOf(at(service.spec, 'ports')).map((port) => {
    const nodePort = at(port, 'nodePort');
    return `${String(at(port, 'port'))}${nodePort ? `:${String(nodePort)}` : ''}/${String(at(port, 'protocol') ?? 'TCP')}`;
  });
  return ports.join(',') || '<none>';
}

function pairs(labels: unknown): string {
  if (!isFields(labels) || count(labels) === 0) return '<none>';
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .sort()
    .join(',');
}

function endpoints(object: KubeObject): string {
  const addresses = listOf(object['subsets']).flatMap((subset) =>
    listOf(at(subset, 'addresses')).flatMap((address) =>
      listOf(at(subset, 'ports')).map((port) => `${String(at(address, 'ip'))}:${String(at(port, 'port'))}`),
    ),
  );
  if (addresses.length === 0) return '<none>';
  const shown = addresses.slice(0, 3).join(',');
  return addresses.length > 3 ? `${shown} + ${addresses.length - 3} more...` : shown;
}

function quotaUsage(quota: KubeObject, isLimit: boolean): string {
  const hard = at(quota.status, 'hard') ?? at(quota.spec, 'hard');
  return Object.keys(isFields(hard) ? hard : {})
    .filter((name) => name.startsWith('limits') === isLimit)
    .sort()
    .map((name) => `${name}: ${String(at(quota.status, 'used', name) ?? 0)}/${String(at(hard, name))}`)
    .join(', ');
}

function roleRef(binding: KubeObject): string {
  return `${textOf(at(binding['roleRef'], 'kind'))}/${textOf(at(binding['roleRef'], 'name'))}`;
}

function subjects(binding: KubeObject, kind: string): string {
  return listOf(binding['subjects'])
    .filter((subject) => at(subject, 'kind') === kind)
    .map((subject) =>
      kind === 'ServiceAccount'
        ? `${textOf(at(subject, 'namespace'))}/${textOf(at(subject, 'name'))}`
        : textOf(at(subject, 'name')),
    )
    .join(', ');
}

const created = ['Created At', (object: KubeObject) => object.metadata.creationTimestamp] as [
  string,
  (object: KubeObject) => unknown,
];

const bindingTable = simpleTable([
  ['Role', roleRef],
  'Age',
  ['Users', (binding) => subjects(binding, 'User'), 1],
  ['Groups', (binding) => subjects(binding, 'Group'), 1],
  ['ServiceAccounts', (binding) => subjects(binding, 'ServiceAccount'), 1],
]);

export const configurationTables: Record<string, TableSpec> = {
  ConfigMap: simpleTable([['Data', (object) => count(object['data']) + count(object['binaryData'])], 'Age']),
  Secret: simpleTable([
    ['Type', (object) => textOf(object['type'])],
    ['Data', (object) => count(object['data'])],
    'Age',
  ]),
  ServiceAccount: simpleTable([['Secrets', (object) => count(object['secrets'])], 'Age']),
  Service: simpleTable([
    ['Type', (service) => textOf(at(service.spec, 'type'))],
    ['Cluster-IP', (service) => textOf(at(service.spec, 'clusterIP')) || '<none>'],
    ['External-IP', (service) => textOf(at(service.spec, 'externalName')) || '<none>'],
    ['Port(s)', servicePorts],
    'Age',
    ['Selector', (service) => pairs(at(service.spec, 'selector')), 1],
  ]),
  Endpoints: simpleTable([['Endpoints', endpoints], 'Age']),
  EndpointSlice: simpleTable([
    ['AddressType', (slice) => textOf(slice['addressType'])],
    [
      'Ports',
      (slice) =>
        listOf(slice['ports'])
          .map((port) => String(at(port, 'port')))
          .join(',') || '<unset>',
    ],
    [
      'Endpoints',
      (slice) =>
        listOf(slice['endpoints'])
          .flatMap((endpoint) => listOf(at(endpoint, 'addresses')))
          .join(',') || '<unset>',
    ],
    'Age',
  ]),
  ResourceQuota: simpleTable([
    ['Request', (quota) => quotaUsage(quota, false)],
    ['Limit', (quota) => quotaUsage(quota, true)],
    'Age',
  ]),
  LimitRange: simpleTable([created]),
  Role: simpleTable([created]),
  ClusterRole: simpleTable([created]),
  RoleBinding: bindingTable,
  ClusterRoleBinding: bindingTable,
  MutatingWebhookConfiguration: simpleTable([['Webhooks', (object) => count(object['webhooks'])], 'Age']),
  ValidatingWebhookConfiguration: simpleTable([['Webhooks', (object) => count(object['webhooks'])], 'Age']),
  ValidatingAdmissionPolicy: simpleTable([
    ['Validations', (object) => count(at(object.spec, 'validations'))],
    ['ParamKind', (object) => textOf(at(object.spec, 'paramKind', 'kind')) || '<unset>'],
    'Age',
  ]),
  ValidatingAdmissionPolicyBinding: simpleTable([
    ['PolicyName', (object) => textOf(at(object.spec, 'policyName'))],
    ['ParamRef', (object) => textOf(at(object.spec, 'paramRef', 'name')) || '<unset>'],
    'Age',
  ]),
  CertificateSigningRequest: simpleTable([
    'Age',
    ['SignerName', (object) => textOf(at(object.spec, 'signerName'))],
    ['Requestor', (object) => textOf(at(object.spec, 'username'))],
    [
      'RequestedDuration',
      (object) => {
        const seconds = at(object.spec, 'expirationSeconds');
        return typeof seconds === 'number' ? humanDuration(seconds * 1000) : '<none>';
      },
    ],
    ['Condition', csrCondition],
  ]),
};

function csrCondition(request: KubeObject): string {
  const types = listOf(at(request.status, 'conditions')).map((condition) => String(at(condition, 'type')));
  const words = types.length > 0 ? types : ['Pending'];
  if (at(request.status, 'certificate')) words.push('Issued');
  return words.join(',');
}
