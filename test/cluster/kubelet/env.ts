import { apiService } from '../layout.js';
import { namespaceOf, parseQuantity, specOf, uidOf, type ContainerSpec, type Pod } from './pod.js';

/** Key → value; a value may be any bytes. */
export type Data = Readonly<Record<string, Buffer>>;

/** Where the values of environment variables come from besides the pod itself; undefined for what does not exist. */
export interface Sources {
  configMap(namespace: string, name: string): Promise<Data | undefined>;
  secret(namespace: string, name: string): Promise<Data | undefined>;
}

/** Facts that are known only once the pod is on its node. */
export interface PodFacts {
  podIp: string;
  hostIp: string;
  nodeName: string;
  /** What the node can give: cores, and bytes. */
  allocatable: { cpu: number; memory: number };
}

/** Something that a container refers to does not exist; the kubelet calls it CreateContainerConfigError. */
export class ConfigError extends Error {}

/** What tells every program in the cluster where the API server is (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables). */
function apiServiceVariables(): [string, string][] {
  const { ip, port } = apiService;
  const url = `tcp://${ip}:${port}`;
  return [
    ['KUBERNETES_SERVICE_HOST', ip],
    ['KUBERNETES_SERVICE_PORT', String(port)],
    ['KUBERNETES_SERVICE_PORT_HTTPS', String(port)],
    ['KUBERNETES_PORT', url],
    [`KUBERNETES_PORT_${port}_TCP`, url],
    [`KUBERNETES_PORT_${port}_TCP_PROTO`, 'tcp'],
    [`KUBERNETES_PORT_${port}_TCP_PORT`, String(port)],
    [`KUBERNETES_PORT_${port}_TCP_ADDR`, ip],
  ];
}

/**
 * The environment of a container, in order, with `$(NAME)` expanded
 * (https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/).
 *
 * @throws ConfigError when a ConfigMap or Secret, or a key in it, is missing and not optional.
 */
export async function environment(
  pod: Pod,
  container: ContainerSpec,
  facts: PodFacts,
  sources: Sources,
): Promise<Map<string, string>> {
  const namespace = namespaceOf(pod);
  const result = new Map(apiServiceVariables());
  for (const from of container.envFrom ?? []) {
    const data = from.configMapRef
      ? await required(
          sources.configMap,
          'configmap',
          namespace,
          from.configMapRef.name,
          from.configMapRef.optional,
        )
      : await required(sources.secret, 'secret', namespace, from.secretRef?.name, from.secretRef?.optional);
    for (const [key, value] of Object.entries(data ?? {}))
      result.set(`${from.prefix ?? ''}${key}`, value.toString('utf8'));
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (!valueFrom) {
      result.set(name, expand(value ?? '', result));
      continue;
    }
    const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
    if (fieldRef) {
      result.set(name, podField(pod, fieldRef.fieldPath, facts));
    } else if (resourceFieldRef) {
      result.set(name, resourceField(pod, container, resourceFieldRef, facts));
    } else if (configMapKeyRef) {
      const data = await required(
        sources.configMap,
        'configmap',
        namespace,
        configMapKeyRef.name,
        configMapKeyRef.optional,
      );
      setKey(result, name, data, configMapKeyRef, 'ConfigMap', namespace);
    } else if (secretKeyRef) {
      const data = await required(
        sources.secret,
        'secret',
        namespace,
        secretKeyRef.name,
        secretKeyRef.optional,
      );
      setKey(result, name, data, secretKeyRef, 'Secret', namespace);
    }
  }
  return result;
}

async function required(
  read: Sources['configMap'],
  kind: string,
  namespace: string,
  name: string | undefined,
  optional: boolean | undefined,
): Promise<Data | undefined> {
  const data = await read(namespace, name ?? '');
  if (!data && !optional) throw new ConfigError(`${kind} "${name ?? ''}" not found`);
  return data;
}

function setKey(
  result: Map<string, string>,
  name: string,
  data: Data | undefined,
  ref: { key: string; name?: string; optional?: boolean },
  kind: string,
  namespace: string,
): void {
  const value = data?.[ref.key];
  if (value !== undefined) result.set(name, value.toString('utf8'));
  else if (!ref.optional) {
    throw new ConfigError(`couldn't find key ${ref.key} in ${kind} ${namespace}/${ref.name ?? ''}`);
  }
}

/** Expands $(NAME); $$(NAME) stays as $(NAME), and what is not known stays as it is. */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$(\$|\(([^()]+)\))/g, (whole, escape: string, name: string | undefined) => {
    if (escape === '$') return '$';
    return variables.get(name ?? '') ?? whole;
  });
}

/** The value of a downward API field (https://kubernetes.io/docs/concepts/workloads/pods/downward-api/). */
export function podField(pod: Pod, path: string, facts: PodFacts): string {
  const { metadata } = pod;
  const key = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (key) return (key[1] === 'labels' ? metadata.labels : metadata.annotations)?.[key[2] ?? ''] ?? '';
  const lines = (values: Record<string, string> | undefined): string =>
    Object.entries(values ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
      .join('\n');
  switch (path) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return namespaceOf(pod);
    case 'metadata.uid':
      return uidOf(pod);
    case 'metadata.labels':
      return lines(metadata.labels);
    case 'metadata.annotations':
      return lines(metadata.annotations);
    case 'spec.nodeName':
      return facts.nodeName;
    case 'spec.serviceAccountName':
      return specOf(pod).serviceAccountName ?? 'default';
    case 'status.hostIP':
    case 'status.hostIPs':
      return facts.hostIp;
    case 'status.podIP':
    case 'status.podIPs':
      return facts.podIp;
    default:
      throw new ConfigError(`unsupported fieldPath: ${path}`);
  }
}

/**
 * A container's own request or limit, in units of the divisor, rounded up. Where there is no limit it is what the node
 * can give.
 */
export function resourceField(
  pod: Pod,
  container: ContainerSpec,
  ref: { resource: string; containerName?: string; divisor?: string | number },
  facts: Pick<PodFacts, 'allocatable'>,
): string {
  const spec = specOf(pod);
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  const target = all.find(({ name }) => name === ref.containerName) ?? container;
  const [group = '', name = ''] = ref.resource.split('.');
  const from = group === 'limits' ? target.resources?.limits : target.resources?.requests;
  const divisor = parseQuantity(ref.divisor ?? '1') || 1;
  const most = group === 'limits' && (name === 'cpu' || name === 'memory') ? facts.allocatable[name] : 0;
  const given = from?.[name];
  return String(Math.ceil((given === undefined ? most : parseQuantity(given)) / divisor));
}
