/**
 * The agent of one node, as the controller speaks to it: promises instead of callbacks, a deadline on each call, a bound
 * on the silence of a stream, and errors that a person can read (every method throws LpmError).
 */
import { Metadata, type Client, type ServiceError } from '@grpc/grpc-js';
import { LpmError } from '../../common/errors.js';
import {
  AgentServiceService,
  type CheckpointByKubeletRequest,
  type CheckpointRequest,
  type CheckpointResult,
  type Claim,
  type ContainerFacts,
  type DiscardRequest,
  type GetNodeInfoResponse,
  type GetPodStateResponse,
  type GetTransferResponse,
  type KeptLog,
  type ListArchivesResponse,
  type ListHoldingsResponse,
  type OpenTransferRequest,
  type PodRef,
  type Progress,
  type ReadLogsRequest,
  type RestoreRequest,
  type RestoreResult,
} from '../../proto/gen/lpm/v1/agent.js';
import { estimateOffset, type ClockOffset, type ClockSample } from './clock.js';
import { isReady, type Connection } from './connection.js';
import { fromServiceError } from './failure.js';

export interface AgentTimeouts {
  /** Deadline of a call that only looks or marks something. */
  callMs: number;
  /** Deadline of a call that waits for processes to end or removes files. */
  workMs: number;
  /** A stream on which nothing came for so long is given up; the work goes on, asking again joins it. */
  silenceMs: number;
}

export const DEFAULT_TIMEOUTS: AgentTimeouts = { callMs: 10_000, workMs: 60_000, silenceMs: 60_000 };

/** One method as ts-proto describes it. */
interface Method<Request, Response> {
  path: string;
  requestSerialize: (value: Request) => Buffer;
  responseDeserialize: (value: Buffer) => Response;
}

interface StreamMessage<Result> {
  event: { $case: 'progress'; value: Progress } | { $case: 'result'; value: Result } | undefined;
}

const methods = AgentServiceService;

/** Whether this process may ask agents for anything, and the calls that are under way. */
export interface CallGate {
  /** Called before each call; what it throws fails the call. */
  assertOpen(): void;
  /** Calls that are under way, to be cancelled together. */
  readonly calls: Set<{ cancel(): void }>;
}

export const openGate = (): CallGate => ({ assertOpen: () => {}, calls: new Set() });

export class Agent {
  constructor(
    readonly node: string,
    /** IP:port */
    readonly address: string,
    private readonly connection: Connection,
    private readonly timeouts: AgentTimeouts = DEFAULT_TIMEOUTS,
    private readonly gate: CallGate = openGate(),
  ) {}

  getNodeInfo(): Promise<GetNodeInfoResponse> {
    return this.#call(methods.getNodeInfo, {});
  }

  /** The offset of the agent's clock to ours, from the best of `rounds` exchanges. */
  async clock(rounds = 3): Promise<ClockOffset> {
    const samples: ClockSample[] = [];
    for (let round = 0; round < rounds; round += 1) {
      // performance.now() is monotonic: a clock that is set meanwhile must not look like a short round trip.
      const sent = performance.timeOrigin + performance.now();
      const { agentTime } = await this.getNodeInfo();
      const received = performance.timeOrigin + performance.now();
      if (agentTime) samples.push({ sent, agentTime: agentTime.getTime(), received });
    }
    const offset = estimateOffset(samples);
    if (!offset) throw new LpmError('Internal', `The agent on node ${this.node} does not tell its time.`);
    return offset;
  }

  async inspectPod(pod: PodRef): Promise<ContainerFacts[]> {
    return (await this.#call(methods.inspectPod, { pod })).containers;
  }

  getPodState(podUid: string): Promise<GetPodStateResponse> {
    return this.#call(methods.getPodState, { podUid });
  }

  /** Who holds the claim now. */
  async revoke(podUid: string, restoreUid: string): Promise<Claim> {
    return (await this.#call(methods.revoke, { podUid, restoreUid }, this.timeouts.workMs)).claim;
  }

  /** Names of the containers that run again. */
  async thaw(pod: PodRef, checkpointUid: string): Promise<string[]> {
    return (await this.#call(methods.thaw, { pod, checkpointUid }, this.timeouts.workMs)).thawed;
  }

  listHoldings(): Promise<ListHoldingsResponse> {
    return this.#call(methods.listHoldings, {});
  }

  async endSource(pod: PodRef): Promise<void> {
    await this.#call(methods.endSource, { pod }, this.timeouts.workMs);
  }

  async discard(what: Partial<DiscardRequest>): Promise<void> {
    await this.#call(methods.discard, { checkpointUid: '', podUid: '', ...what }, this.timeouts.workMs);
  }

  /** What the node keeps of the logs of a checkpoint or a restore. */
  async readLogs(request: ReadLogsRequest): Promise<KeptLog[]> {
    return (await this.#call(methods.readLogs, request)).logs;
  }

  /** A checkpoint of one container by the kubelet of the node. */
  checkpointByKubelet(
    request: CheckpointByKubeletRequest,
    onProgress: (progress: Progress) => void,
  ): Promise<CheckpointResult> {
    return this.#stream<CheckpointByKubeletRequest, CheckpointResult>(
      methods.checkpointByKubelet,
      request,
      onProgress,
    );
  }

  /** The archives of this cluster that the node made or keeps, and the state of the shared repository as seen from there. */
  listArchives(clusterUid: string): Promise<ListArchivesResponse> {
    return this.#call(methods.listArchives, { clusterUid }, this.timeouts.workMs);
  }

  /** Removes an archive that was made for this checkpoint. Returns the bytes that are free now. */
  async removeArchive(uri: string, checkpointUid: string): Promise<number> {
    const { bytesFreed } = await this.#call(
      methods.removeArchive,
      { uri, checkpointUid },
      this.timeouts.workMs,
    );
    return Number(bytesFreed);
  }

  async openTransfer(request: OpenTransferRequest): Promise<void> {
    await this.#call(methods.openTransfer, request);
  }

  getTransfer(transferUid: string): Promise<GetTransferResponse> {
    return this.#call(methods.getTransfer, { transferUid });
  }

  checkpoint(
    request: CheckpointRequest,
    onProgress: (progress: Progress) => void,
  ): Promise<CheckpointResult> {
    return this.#stream<CheckpointRequest, CheckpointResult>(methods.checkpoint, request, onProgress);
  }

  restore(request: RestoreRequest, onProgress: (progress: Progress) => void): Promise<RestoreResult> {
    return this.#stream<RestoreRequest, RestoreResult>(methods.restore, request, onProgress);
  }

  #call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    deadlineMs = this.timeouts.callMs,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.gate.assertOpen();
      const { client } = this.connection;
      const call = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        { deadline: Date.now() + deadlineMs },
        (error: ServiceError | null, response?: Response) => {
          unbound();
          this.gate.calls.delete(call);
          if (error) reject(fromServiceError(error, this.node, this.address));
          else resolve(response as Response);
        },
      );
      const unbound = this.#boundConnecting(client, call);
      this.gate.calls.add(call);
    });
  }

  #stream<Request, Result>(
    method: Method<Request, StreamMessage<Result>>,
    request: Request,
    onProgress: (progress: Progress) => void,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.gate.assertOpen();
      const { client } = this.connection;
      const call = client.makeServerStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
      );
      this.gate.calls.add(call);
      let result: Result | undefined;
      const unbound = this.#boundConnecting(client, call);
      const silence = setTimeout(() => call.cancel(), this.timeouts.silenceMs);
      const over = () => {
        unbound();
        clearTimeout(silence);
        this.gate.calls.delete(call);
      };
      call.on('data', ({ event }: StreamMessage<Result>) => {
        silence.refresh();
        if (event?.$case === 'progress') onProgress(event.value);
        // The result counts when it is here: a connection that is lost after it changes nothing.
        else if (event?.$case === 'result') resolve((result = event.value));
      });
      call.on('error', (error: ServiceError) => {
        over();
        reject(fromServiceError(error, this.node, this.address));
      });
      call.on('end', () => {
        over();
        if (result !== undefined) return;
        reject(
          new LpmError('AgentNotReachable', `The agent on node ${this.node} ended a call without a result.`),
        );
      });
    });
  }

  /** Ends a call that waits for a connection for longer than a short call may take. Answers how to let it be. */
  #boundConnecting(client: Client, call: { cancel(): void }): () => void {
    const timer = setTimeout(() => {
      if (!isReady(client)) call.cancel();
    }, this.timeouts.callMs);
    return () => clearTimeout(timer);
  }
}
