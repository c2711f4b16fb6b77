/** A controller's client of one agent, with promises: what the tests of the agent talk through. */
import { setTimeout as delay } from 'node:timers/promises';
import { credentials, type handleUnaryCall, type ServiceError } from '@grpc/grpc-js';
import { agentDnsName } from '../../common/api/names.js';
import {
  AgentServiceClient,
  ErrorDetail,
  type AgentServiceServer,
  type CheckpointResult,
  type Progress,
  type ReadArchiveResponse,
} from '../../proto/gen/lpm/v1/agent.js';

/** PEM, each. */
export interface ClientTls {
  ca: string;
  cert: string;
  key: string;
}

/** What an agent answered instead of a result. */
export class AgentError extends Error {
  constructor(
    readonly detail: ErrorDetail,
    readonly code: number,
  ) {
    super(detail.message);
  }
  get reason(): string {
    return this.detail.reason;
  }
}

type UnaryName =
  | 'getNodeInfo'
  | 'inspectPod'
  | 'getPodState'
  | 'commit'
  | 'revoke'
  | 'thaw'
  | 'endSource'
  | 'discard'
  | 'listHoldings'
  | 'listArchives'
  | 'removeArchive';
type Request<
  Name extends UnaryName | 'checkpoint' | 'checkpointByKubelet' | 'restore' | 'pullArtifacts' | 'readArchive',
> = Parameters<AgentServiceClient[Name]>[0];
type Response<Name extends UnaryName> =
  AgentServiceServer[Name] extends handleUnaryCall<never, infer Answer> ? Answer : never;

export class AgentClient {
  private constructor(readonly raw: AgentServiceClient) {}

  /** @param target as grpc-js names it: `unix:PATH` or `HOST:PORT` */
  static connect(target: string, nodeName: string, { ca, cert, key }: ClientTls): AgentClient {
    const tls = credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert));
    return new AgentClient(
      new AgentServiceClient(target, tls, {
        'grpc.ssl_target_name_override': agentDnsName(nodeName),
        'grpc.default_authority': agentDnsName(nodeName),
        'grpc.initial_reconnect_backoff_ms': 50,
        'grpc.max_reconnect_backoff_ms': 200,
      }),
    );
  }

  /** Waits until the agent answers. */
  async serving(timeoutMs = 20_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      try {
        await this.call('getPodState', { podUid: '00000000-0000-0000-0000-000000000000' });
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await delay(50);
      }
    }
  }

  call<Name extends UnaryName>(name: Name, request: Request<Name>): Promise<Response<Name>> {
    return new Promise((resolve, reject) => {
      const method = this.raw[name].bind(this.raw) as unknown as (
        request: Request<Name>,
        done: (error: ServiceError | null, response: Response<Name>) => void,
      ) => unknown;
      method(request, (error, response) => (error ? reject(explain(error)) : resolve(response)));
    });
  }

  checkpoint(request: Request<'checkpoint'>, onProgress?: (progress: Progress) => void) {
    return lastOf(this.raw.checkpoint(request), onProgress);
  }
  checkpointByKubelet(request: Request<'checkpointByKubelet'>, onProgress?: (progress: Progress) => void) {
    return lastOf<CheckpointResult>(this.raw.checkpointByKubelet(request), onProgress);
  }
  /** All bytes of an archive that lies on the agent's node. */
  async readArchive(request: Request<'readArchive'>): Promise<Buffer> {
    const parts: Buffer[] = [];
    try {
      for await (const { data } of this.raw.readArchive(request) as AsyncIterable<ReadArchiveResponse>)
        parts.push(data);
    } catch (error) {
      throw explain(error as ServiceError);
    }
    return Buffer.concat(parts);
  }
  restore(request: Request<'restore'>, onProgress?: (progress: Progress) => void) {
    return lastOf(this.raw.restore(request), onProgress);
  }
}

async function lastOf<Result>(
  stream: AsyncIterable<unknown>,
  onProgress: (progress: Progress) => void = () => {},
): Promise<Result> {
  let result: Result | undefined;
  try {
    for await (const message of stream) {
      const { event } = message as {
        event: { $case: 'progress'; value: Progress } | { $case: 'result'; value: Result };
      };
      if (event.$case === 'progress') onProgress(event.value);
      else result = event.value;
    }
  } catch (error) {
    throw explain(error as ServiceError);
  }
  if (result === undefined) throw new Error('the stream ended without a result');
  return result;
}

function explain(error: ServiceError): Error {
  const [raw] = error.metadata?.get('lpm-error-bin') ?? [];
  return raw instanceof Buffer ? new AgentError(ErrorDetail.decode(raw), error.code) : error;
}
