import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import {
  credentials,
  type CallOptions,
  type Client,
  type ClientUnaryCall,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type * as cri from '../../proto/gen/runtime/v1/cri.js';
import {
  ContainerConfig,
  ImageServiceClient,
  NamespaceMode,
  PodSandboxConfig,
  RuntimeServiceClient,
} from '../../proto/gen/runtime/v1/cri.js';
import type { NodeHandle } from './node/start.js';

/** The CRI of one runtime, with promises. Deadlines are in milliseconds; the default is two minutes. */
export interface Cri {
  runtime: Promised<RuntimeServiceClient>;
  images: Promised<ImageServiceClient>;
  close(): void;
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

/** The unary calls of a generated client, each taking its request, an optional deadline and a signal that cancels it. */
type Promised<C> = {
  [Method in Exclude<keyof C, keyof Client | 'getContainerEvents'>]: C[Method] extends Unary<
    infer Request,
    infer Response
  >
    ? (request: Request, deadlineMs?: number, signal?: AbortSignal) => Promise<Response>
    : never;
};

function promised<C extends Client>(client: C): Promised<C> {
  type Call = (
    request: unknown,
    options: Partial<CallOptions>,
    done: (...args: never[]) => void,
  ) => ClientUnaryCall;
  const call =
    (method: string) =>
    (request: unknown, deadlineMs = 120_000, signal?: AbortSignal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error);
        const cancel = (): void => unary.cancel();
        const done = (error: ServiceError | null, response: unknown): void => {
          signal?.removeEventListener('abort', cancel);
          if (error) reject(error);
          else resolve(response);
        };
        const unary = (client as unknown as Record<string, Call>)[method]!.call(
          client,
          request,
          { deadline: Date.now() + deadlineMs },
          done,
        );
        signal?.addEventListener('abort', cancel);
      });
  return new Proxy({} as Promised<C>, { get: (_, method) => call(String(method)) });
}

/** Connects to a CRI socket, given as a path on this machine. */
export function openCri(socket: string): Cri {
  const channelOptions = { 'grpc.max_receive_message_length': 16 << 20 };
  const runtime = new RuntimeServiceClient(`unix:${socket}`, credentials.createInsecure(), channelOptions);
  const images = new ImageServiceClient(`unix:${socket}`, credentials.createInsecure(), channelOptions);
  return {
    runtime: promised(runtime),
    images: promised(images),
    close: () => {
      runtime.close();
      images.close();
    },
  };
}

/** A pod of one container, as far as tests of the agent need it. */
export interface TestPod {
  name: string;
  namespace?: string;
  uid?: string;
  container?: string;
  image: string;
  command?: readonly string[];
  args?: readonly string[];
  /** Runtime handler of the sandbox: '' is the default one, 'lpm' the agent's. */
  handler?: string;
  hostname?: string;
  annotations?: Readonly<Record<string, string>>;
  /** emptyDir volumes: name → path in the container. They lie where the kubelet puts them. */
  emptyDirs?: Readonly<Record<string, string>>;
  runAsUser?: number;
  /** More of what the kubelet tells of a container's rights. */
  security?: cri.DeepPartial<cri.LinuxContainerSecurityContext>;
}

/** What distinguishes a further container of a pod from its first one. */
export interface FurtherContainer {
  name?: string;
  /** 1 and more: a restart. */
  attempt?: number;
  command?: readonly string[];
}

export interface RunningPod {
  name: string;
  namespace: string;
  uid: string;
  sandboxId: string;
  containerId: string;
  /** Inside the node. */
  logPath: string;
  /** Volume name → its folder inside the node. */
  volumes: Record<string, string>;
  /** Creates and starts the container; called by runPod unless `startContainer: false`. */
  start(): Promise<void>;
  /** Creates another container in the pod's sandbox, as the kubelet does to restart one; answers its ID. */
  createContainer(further: FurtherContainer): Promise<string>;
  remove(): Promise<void>;
}

/**
 * Runs a pod on a node the way the kubelet does: same labels, log path, volume paths and cgroup parent.
 *
 * @param options.startContainer with false the container is created, and started by the answer's `start()`.
 */
export async function runPod(
  node: Pick<NodeHandle, 'path'>,
  client: Cri,
  pod: TestPod,
  options: { startContainer?: boolean } = {},
): Promise<RunningPod> {
  const namespace = pod.namespace ?? 'default';
  const uid = pod.uid ?? randomUUID();
  const container = pod.container ?? 'main';
  const logDirectory = `/var/log/pods/${namespace}_${pod.name}_${uid}`;
  const podLabels = {
    'io.kubernetes.pod.name': pod.name,
    'io.kubernetes.pod.namespace': namespace,
    'io.kubernetes.pod.uid': uid,
  };
  const namespaceOptions: cri.NamespaceOption = {
    network: NamespaceMode.POD,
    pid: NamespaceMode.CONTAINER,
    ipc: NamespaceMode.POD,
    targetId: '',
  };
  const volumes: Record<string, string> = {};
  for (const name of Object.keys(pod.emptyDirs ?? {})) {
    volumes[name] = `/var/lib/kubelet/pods/${uid}/volumes/kubernetes.io~empty-dir/${name}`;
    mkdirSync(node.path(volumes[name]), { recursive: true });
    chmodSync(node.path(volumes[name]), 0o777);
  }
  const config = PodSandboxConfig.fromPartial({
    metadata: { name: pod.name, namespace, uid, attempt: 0 },
    hostname: pod.hostname ?? pod.name,
    logDirectory,
    labels: podLabels,
    annotations: { ...pod.annotations },
    linux: {
      cgroupParent: `/kubepods/besteffort/pod${uid}`,
      securityContext: { namespaceOptions },
    },
  });
  const { podSandboxId } = await client.runtime.runPodSandbox({ config, runtimeHandler: pod.handler ?? '' });
  const createContainer = async (further: FurtherContainer): Promise<string> => {
    const { name = container, attempt = 0, command = pod.command ?? [] } = further;
    mkdirSync(node.path(`${logDirectory}/${name}`), { recursive: true });
    const { containerId } = await client.runtime.createContainer({
      podSandboxId,
      sandboxConfig: config,
      config: ContainerConfig.fromPartial({
        metadata: { name, attempt },
        image: { image: pod.image },
        command: [...command],
        args: [...(pod.args ?? [])],
        labels: { ...podLabels, 'io.kubernetes.container.name': name },
        annotations: { ...pod.annotations, 'io.kubernetes.container.restartCount': String(attempt) },
        logPath: `${name}/${attempt}.log`,
        mounts: Object.entries(pod.emptyDirs ?? {}).map(([volume, path]) => ({
          hostPath: volumes[volume] ?? '',
          containerPath: path,
        })),
        linux: {
          resources: { cpuShares: 2n, oomScoreAdj: 1000n },
          securityContext: {
            namespaceOptions,
            runAsUser: pod.runAsUser === undefined ? undefined : { value: BigInt(pod.runAsUser) },
            ...pod.security,
          },
        },
      }),
    });
    return containerId;
  };
  const containerId = await createContainer({});
  const start = async (): Promise<void> => {
    await client.runtime.startContainer({ containerId });
  };
  if (options.startContainer !== false) await start();
  return {
    name: pod.name,
    namespace,
    uid,
    sandboxId: podSandboxId,
    containerId,
    logPath: `${logDirectory}/${container}/0.log`,
    volumes,
    start,
    createContainer,
    remove: async () => {
      await client.runtime.stopContainer({ containerId, timeout: 0n });
      await client.runtime.stopPodSandbox({ podSandboxId });
      await client.runtime.removePodSandbox({ podSandboxId });
    },
  };
}

/** The guide's counter, faster: one line every 100 ms on standard output and in /data/counter.log. */
export const counterPod: TestPod = {
  name: 'counter',
  container: 'counter',
  image: 'docker.io/library/busybox:1.35',
  command: [
    '/bin/sh',
    '-c',
    'COUNT=0; while true; do COUNT=$((COUNT + 1)); echo "$(date): Count=$COUNT" | tee -a /data/counter.log; sleep 0.1; done',
  ],
  emptyDirs: { data: '/data' },
};
