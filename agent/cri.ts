import { credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import {
  ContainerState,
  RuntimeServiceClient,
  type Container,
  type ContainerStatusResponse,
  type PodSandbox,
  type StatusResponse,
  type VersionResponse,
  PodSandboxState,
} from '../proto/gen/runtime/v1/cri.js';
import { LpmError } from '../common/errors.js';

/** Labels that every kubelet sets (kubernetes pkg/kubelet/types/labels.go). */
const LABEL_POD_UID = 'io.kubernetes.pod.uid';

/** How long the runtime may take to answer what it only has to look up. */
const DEADLINE_MS = 10_000;

/** What the agent asks of the container runtime, read-only. */
export class Cri {
  private readonly client: RuntimeServiceClient;

  /** @param socket path of the CRI socket */
  constructor(private readonly socket: string) {
    this.client = new RuntimeServiceClient(`unix:${socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': 16 << 20,
      // A runtime that is restarted is back within seconds: gRPC's default waits grow to two minutes.
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 2000,
    });
  }

  close(): void {
    this.client.close();
  }

  version(): Promise<VersionResponse> {
    return this.call((done) => this.client.version({ version: '' }, ...done));
  }

  status(): Promise<StatusResponse> {
    return this.call((done) => this.client.status({ verbose: true }, ...done));
  }

  /** Sandboxes of a pod, ready ones first. */
  async sandboxes(podUid: string): Promise<PodSandbox[]> {
    const filter = { id: '', state: undefined, labelSelector: { [LABEL_POD_UID]: podUid } };
    const { items } = await this.call<{ items: PodSandbox[] }>((done) =>
      this.client.listPodSandbox({ filter }, ...done),
    );
    const notReady = (each: PodSandbox): number => Number(each.state !== PodSandboxState.SANDBOX_READY);
    return items.sort((a, b) => notReady(a) - notReady(b) || Number(b.createdAt - a.createdAt));
  }

  /** Sandboxes of all pods that are ready. */
  async readySandboxes(): Promise<PodSandbox[]> {
    const state = { state: PodSandboxState.SANDBOX_READY };
    const { items } = await this.call<{ items: PodSandbox[] }>((done) =>
      this.client.listPodSandbox({ filter: { id: '', state, labelSelector: {} } }, ...done),
    );
    return items;
  }

  /** Every container of a pod (without a UID: of all pods) that the runtime still knows, newest first. */
  async containers(podUid?: string): Promise<Container[]> {
    const labelSelector: Record<string, string> = podUid === undefined ? {} : { [LABEL_POD_UID]: podUid };
    const filter = { id: '', state: undefined, podSandboxId: '', labelSelector };
    const { containers } = await this.call<{ containers: Container[] }>((done) =>
      this.client.listContainers({ filter }, ...done),
    );
    return containers.sort((a, b) => Number(b.createdAt - a.createdAt));
  }

  async runningContainers(podUid: string): Promise<Container[]> {
    return (await this.containers(podUid)).filter((each) => each.state === ContainerState.CONTAINER_RUNNING);
  }

  containerStatus(containerId: string): Promise<ContainerStatusResponse> {
    return this.call((done) => this.client.containerStatus({ containerId, verbose: true }, ...done));
  }

  /** The runtime's extra words about a container (containerd and CRI-O both: pid, runtimeSpec), as far as it says any. */
  async containerInfo(containerId: string): Promise<ContainerInfo> {
    const { status: found, info } = await this.containerStatus(containerId);
    let detail: Record<string, unknown> = {};
    try {
      detail = JSON.parse(info.info ?? '{}') as Record<string, unknown>;
    } catch {
      // A runtime that answers otherwise tells nothing more.
    }
    const config = detail.config as { tty?: boolean } | undefined;
    const spec = detail.runtimeSpec as { process?: { terminal?: boolean } } | undefined;
    return {
      logPath: found?.logPath ?? '',
      terminal: config?.tty ?? spec?.process?.terminal ?? false,
    };
  }

  /** PID of a sandbox's own process (pause), 0 when the runtime does not say. */
  async sandboxPid(podSandboxId: string): Promise<number> {
    const { info } = await this.call<{ info: Record<string, string> }>((done) =>
      this.client.podSandboxStatus({ podSandboxId, verbose: true }, ...done),
    );
    try {
      return Number((JSON.parse(info.info ?? '{}') as { pid?: number }).pid ?? 0);
    } catch {
      return 0;
    }
  }

  private call<Response>(start: (rest: Rest<Response>) => unknown): Promise<Response> {
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, response: Response): void => {
        if (!error) return resolve(response);
        reject(this.explain(error));
      };
      start([new Metadata(), { deadline: Date.now() + DEADLINE_MS }, done]);
    });
  }

  private explain(error: ServiceError): LpmError {
    if (error.code === status.NOT_FOUND) {
      return new LpmError('ContainerNotFound', `The runtime says: ${error.details}`, { cause: error });
    }
    return new LpmError(
      'RuntimeUnavailable',
      `The container runtime at ${this.socket} does not answer: ${error.details}`,
      { hint: 'Look at the state of containerd or CRI-O on this node.', cause: error },
    );
  }
}

type Rest<Response> = [
  Metadata,
  { deadline: number },
  (error: ServiceError | null, response: Response) => void,
];

export interface ContainerInfo {
  /** Absolute path of the container's log on the node; empty when the runtime does not say. */
  logPath: string;
  terminal: boolean;
}
