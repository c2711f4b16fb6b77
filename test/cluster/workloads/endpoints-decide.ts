/** The endpoints of a Service: pure. Follows the EndpointSlice and Endpoints controllers; IPv4 only. */
import type { Pod } from '../../../common/kube/types.js';
import { isEnding, isFinished, isReady } from './pods.js';
import type { Endpoints, EndpointSlice, Service } from './types.js';

type Port = { name: string; port: number; protocol: string };
type Endpoint = EndpointSlice['endpoints'][number];

export interface SliceContent {
  ports: Port[];
  endpoints: Endpoint[];
}

/** One content per set of ports: a named port may be another number in another pod. */
export function sliceContents(service: Service, pods: Pod[], zones: Map<string, string>): SliceContent[] {
  const groups = new Map<string, SliceContent>();
  for (const pod of pods.filter(hasAddress).sort(byName)) {
    const ports = portsFor(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpointOf(service, pod, zones));
    groups.set(key, group);
  }
  // A Service without pods has a slice as well, so that its readers know.
  return groups.size > 0 ? [...groups.values()] : [{ ports: [], endpoints: [] }];
}

function hasAddress(pod: Pod): boolean {
  return Boolean(pod.status?.podIP) && !isFinished(pod);
}

function byName(a: Pod, b: Pod): number {
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

function endpointOf(service: Service, pod: Pod, zones: Map<string, string>): Endpoint {
  const isServing = service.spec?.publishNotReadyAddresses === true || isReady(pod);
  const { name, namespace, uid } = pod.metadata;
  const nodeName = pod.spec?.nodeName;
  const zone = nodeName ? zones.get(nodeName) : undefined;
  const { hostname, subdomain } = pod.spec ?? {};
  return {
    addresses: [pod.status!.podIP!],
    conditions: { ready: isServing && !isEnding(pod), serving: isServing, terminating: isEnding(pod) },
    ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    targetRef: { kind: 'Pod', name, namespace: namespace!, uid: uid! },
    ...(zone ? { zone } : {}),
  } as Endpoint;
}

function portsFor(service: Service, pod: Pod): Port[] {
  return (service.spec?.ports ?? []).flatMap(({ name = '', port, targetPort = port, protocol = 'TCP' }) => {
    const number = typeof targetPort === 'number' ? targetPort : namedPort(pod, String(targetPort), protocol);
    return number === undefined ? [] : [{ name, port: number, protocol }];
  });
}

function namedPort(pod: Pod, name: string, protocol: string): number | undefined {
  return (pod.spec?.containers ?? [])
    .flatMap(({ ports = [] }) => ports)
    .find((one) => one.name === name && (one.protocol ?? 'TCP') === protocol)?.containerPort;
}

/** The older form of the same: pods that end are left out. */
export function endpointSubsets(service: Service, pods: Pod[]): NonNullable<Endpoints['subsets']> {
  const contents = sliceContents(
    service,
    pods.filter((pod) => !isEnding(pod)),
    new Map(),
  );
  return contents
    .filter(({ endpoints }) => endpoints.length > 0)
    .map(({ ports, endpoints }) => {
      const told = (isReadyOne: boolean) =>
        endpoints
          .filter(({ conditions }) => conditions?.ready === isReadyOne)
          .map(({ addresses, hostname, nodeName, targetRef }) => ({
            ip: addresses[0]!,
            ...(hostname ? { hostname } : {}),
            ...(nodeName ? { nodeName } : {}),
            ...(targetRef ? { targetRef } : {}),
          }))
          .sort((a, b) => (a.ip < b.ip ? -1 : 1));
      const [addresses, notReadyAddresses] = [told(true), told(false)];
      return {
        ...(addresses.length > 0 ? { addresses } : {}),
        ...(notReadyAddresses.length > 0 ? { notReadyAddresses } : {}),
        ports: ports.map(({ name, ...port }) => ({ ...(name ? { name } : {}), ...port })),
      };
    });
}
