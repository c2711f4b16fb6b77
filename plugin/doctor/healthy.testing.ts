/** A cluster in which nothing is missing, to be altered by tests. */
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { Lease, Node, Pod } from '../../common/kube/types.js';
import { bundledManifests } from '../install/bundled.js';
import { neededRights } from './checks/rights.js';
import type { Crd, DaemonSet, Deployment, RuntimeClass } from './objects.js';
import type { Metrics, Observed } from './observed.js';

export const NOW = Date.now();
const at = (ms: number): string => new Date(NOW + ms).toISOString();

export const ready = [
  { type: 'PodScheduled', status: 'True' },
  { type: 'Ready', status: 'True' },
];

export function node(name: string, altered: Partial<Node['metadata']> = {}): Node {
  return {
    metadata: { name, labels: { 'kubernetes.io/os': 'linux', 'lpm.my.domain/ready': 'true' }, ...altered },
    status: {
      conditions: [{ type: 'Ready', status: 'True' }],
      nodeInfo: { containerRuntimeVersion: 'containerd://2.1.9', kubeletVersion: 'v1.36.2' },
      runtimeHandlers: [{ name: '' }, { name: 'runc' }, { name: 'lpm' }],
    },
  } as unknown as Node;
}

export function pod(name: string, nodeName: string, status: Partial<Pod['status']> = {}): Pod {
  return {
    metadata: { name, namespace: SYSTEM_NAMESPACE, uid: `uid-${name}`, creationTimestamp: at(-3_600_000) },
    spec: { nodeName, containers: [{ name: 'agent', image: 'localhost/checkpoint-agent:latest' }] },
    status: {
      phase: 'Running',
      conditions: ready,
      containerStatuses: [
        { name: 'agent', image: '', imageID: '', ready: true, restartCount: 0, state: { running: {} } },
      ],
      ...status,
    },
  };
}

/** A container that waits. */
export const waiting = (reason: string, message = '', restartCount = 0): Partial<Pod['status']> => ({
  phase: 'Pending',
  conditions: [
    { type: 'PodScheduled', status: 'True' },
    { type: 'Ready', status: 'False' },
  ],
  containerStatuses: [
    {
      name: 'agent',
      image: '',
      imageID: '',
      ready: false,
      restartCount,
      state: { waiting: { reason, message } },
    },
  ],
});

const says = (version: string, values: [string, number][] = []): { seen: Metrics } => ({
  seen: { version, values: new Map(values) },
});

export async function healthy(): Promise<Observed> {
  const manifests = (await bundledManifests()).objects;
  const find = <T>(kind: string): T =>
    structuredClone(manifests.find((one) => one.kind === kind)) as unknown as T;
  const crds = manifests.filter(({ kind }) => kind === 'CustomResourceDefinition') as unknown as Crd[];
  const deployment = find<Deployment>('Deployment');
  const nodes = [node('k8s-master'), node('k8s-worker')];
  const agents = nodes.map(({ metadata }) => pod(`agent-${metadata.name}`, metadata.name));
  const controllers = [
    pod('lpm-controller-manager-1', 'k8s-master'),
    pod('lpm-controller-manager-2', 'k8s-worker'),
  ];
  return {
    plugin: { version: '0.1.0' },
    server: { url: 'https://10.0.0.1:6443', version: 'v1.36.2', aheadMs: 200 },
    now: NOW,
    crds: {
      expected: crds,
      installed: {
        seen: structuredClone(crds).map((crd) => ({
          ...crd,
          status: { conditions: [{ type: 'Established', status: 'True' }] },
        })) as unknown as Crd[],
      },
      served: { seen: true },
    },
    systemNamespace: {
      seen: {
        metadata: { name: SYSTEM_NAMESPACE, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
        status: { phase: 'Active' },
      },
    },
    runtimeClass: { seen: find<RuntimeClass>('RuntimeClass') },
    deployment: { seen: { ...deployment, status: { replicas: 2, availableReplicas: 2 } } },
    daemonSet: { seen: find<DaemonSet>('DaemonSet') },
    lease: {
      seen: {
        metadata: { name: 'lpm-controller' },
        spec: {
          holderIdentity: 'lpm-controller-manager-1_x',
          leaseDurationSeconds: 15,
          renewTime: at(-2_000),
        },
      } as Lease,
    },
    controllers: { seen: controllers },
    agents: { seen: agents },
    events: { seen: [] },
    logs: new Map(),
    metrics: new Map([...controllers, ...agents].map(({ metadata }) => [metadata.uid!, says('0.1.0')])),
    nodes: { seen: nodes },
    nodeLeases: {
      seen: new Map(
        nodes.map(({ metadata: { name } }) => [
          name,
          { metadata: { name }, spec: { renewTime: at(-4_000) } } as Lease,
        ]),
      ),
    },
    kubelets: new Map(
      nodes.map(({ metadata }) => [metadata.name, { seen: { code: 404, text: 'pod does not exist' } }]),
    ),
    agentMayCheckpoint: { seen: true },
    authority: { seen: undefined },
    given: { seen: undefined },
    claim: { seen: undefined },
    provisioners: { seen: [] },
    user: {
      name: 'bob',
      namespace: 'shop',
      answers: { seen: neededRights('shop').map((right) => ({ ...right, allowed: true })) },
    },
    migrations: { seen: [] },
    frozen: { seen: [] },
  };
}
