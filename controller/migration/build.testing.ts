/** Builders for tests: objects that pass every check, to be changed where a test says so. */
import type { PodMigration } from '../../common/api/schema.js';
import type { Node, Pod } from '../../common/kube/types.js';
import { ContainerFacts, GetNodeInfoResponse } from '../../proto/gen/lpm/v1/agent.js';
import type { MigrationFacts, NodeFacts } from './facts.js';

export function aMigration(spec: Partial<PodMigration['spec']> = {}): PodMigration {
  return {
    apiVersion: 'lpm.my.domain/v1',
    kind: 'PodMigration',
    metadata: {
      name: 'counter-migration',
      namespace: 'default',
      uid: '11111111-1111-4111-8111-111111111111',
      creationTimestamp: '2030-01-01T00:00:10Z',
      generation: 1,
    },
    spec: { podName: 'counter', targetNode: 'k8s-master', tcp: 'Close', timeoutSeconds: 600, ...spec },
  };
}

export function aPod(
  change: (pod: Required<Pick<Pod, 'metadata' | 'spec' | 'status'>>) => void = () => {},
): Pod {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'counter',
      namespace: 'default',
      uid: '22222222-2222-4222-8222-222222222222',
      labels: { app: 'counter' },
    },
    spec: {
      nodeName: 'k8s-worker',
      containers: [
        {
          name: 'counter',
          image: 'busybox:1.35',
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        },
      ],
      volumes: [{ name: 'data', emptyDir: {} }],
    },
    status: {
      phase: 'Running',
      containerStatuses: [
        {
          name: 'counter',
          image: 'busybox:1.35',
          imageID: 'sha256:1',
          ready: true,
          restartCount: 0,
          containerID: 'containerd://c0ffee',
          state: { running: { startedAt: '2030-01-01T00:00:00Z' } },
        },
      ],
    },
  } as Required<Pick<Pod, 'metadata' | 'spec' | 'status'>>;
  change(pod);
  return pod;
}

export function aNode(name: string, ip = '127.0.0.1', ready: 'True' | 'False' = 'True'): Node {
  return {
    metadata: { name, uid: `node-${name}` },
    spec: {},
    status: {
      addresses: [{ type: 'InternalIP', address: ip }],
      conditions: [
        {
          type: 'Ready',
          status: ready,
          ...(ready === 'False' ? { message: 'kubelet stopped posting.' } : {}),
        },
      ],
    },
  };
}

export function nodeInfo(nodeName: string, change: Partial<GetNodeInfoResponse> = {}): GetNodeInfoResponse {
  return GetNodeInfoResponse.fromPartial({
    nodeName,
    agentVersion: 'simulated',
    agentTime: new Date(),
    architecture: 'amd64',
    cgroupVersion: 2,
    runtimeName: 'containerd',
    ociRuntime: 'runc',
    criuVersion: '4.2.1',
    handlerReady: true,
    cpuModel: 'Simulated CPU',
    cpuFlags: ['sse2', 'avx2'],
    freeBytes: 100n * 1024n * 1024n * 1024n,
    ...change,
  });
}

export function containerFacts(change: Partial<ContainerFacts> = {}): ContainerFacts {
  return ContainerFacts.fromPartial({
    name: 'counter',
    containerId: 'c0ffee',
    image: 'busybox:1.35',
    processCount: 2,
    memoryBytes: 1_000_000n,
    ...change,
  });
}

export function nodeFacts(name: string, info: Partial<GetNodeInfoResponse> = {}): NodeFacts {
  return { name, node: aNode(name), agent: { value: nodeInfo(name, info) } };
}

export function someFacts(change: Partial<MigrationFacts> = {}): MigrationFacts {
  return {
    migration: aMigration(),
    pod: aPod(),
    podNames: ['counter', 'redis'],
    nodeNames: ['k8s-master', 'k8s-worker'],
    source: nodeFacts('k8s-worker'),
    targets: [nodeFacts('k8s-master')],
    inspection: { value: [containerFacts()] },
    otherMigrations: [],
    runningCheckpoints: [],
    ...change,
  };
}
