/** Signs certificates for agents: the gRPC service that every replica serves. */
import { Server, type ServiceError } from '@grpc/grpc-js';
import { LpmError, messageOf } from '../../common/errors.js';
import { ApiError, ApiUnreachable } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import { TlsListener } from '../../common/grpc/tls-listener.js';
import {
  IdentityServiceService,
  type IdentityServiceServer,
  type SignRequest,
  type SignResponse,
} from '../../proto/gen/lpm/v1/identity.js';
import type { Log } from '../log.js';
import type { Metrics } from '../metrics.js';
import { nodeOfToken } from './caller.js';
import type { IssuedIdentity } from './issued.js';
import { requestedKey } from './request.js';

/** Anybody may connect, so more than this at once is refused: each costs two questions to the API server. */
const MAX_AT_ONCE = 32;

export interface SignerOptions {
  identity: IssuedIdentity;
  /** May write at any time: it is no leader's work. */
  client: KubeClient;
  namespace: string;
  log: Log;
  metrics?: Metrics;
}

export interface Signer {
  port: number;
  close(): void;
}

/** Listens on "address:port". */
export async function serveSigner(listen: string, options: SignerOptions): Promise<Signer> {
  const server = new Server({
    'grpc.max_receive_message_length': 64 * 1024,
    // Each comes once and goes.
    'grpc.max_concurrent_streams': 4,
    'grpc.max_connection_age_ms': 60_000,
    'grpc.max_connection_age_grace_ms': 10_000,
  });
  let underWay = 0;
  const service: IdentityServiceServer = {
    sign: (call, callback) => {
      const work = async (): Promise<SignResponse> => {
        if (underWay >= MAX_AT_ONCE) {
          throw new LpmError('NoCertificate', 'Too many certificates are asked for at once.');
        }
        underWay += 1;
        try {
          return await answer(call.request, options);
        } finally {
          underWay -= 1;
        }
      };
      work().then(
        (response) => callback(null, response),
        (error: unknown) => {
          options.log.warn(`A certificate is refused: ${messageOf(error)}`, { peer: call.getPeer() });
          count(options, 'refused');
          callback(serviceError(error));
        },
      );
    },
  };
  server.addService(IdentityServiceService, service);
  const listener = new TlsListener(server, options.identity.signer, { clientCertificates: false });
  try {
    const port = await listener.listen(listen);
    return {
      port,
      close: () => {
        listener.close();
        server.forceShutdown();
      },
    };
  } catch (error) {
    throw new LpmError('InvalidArgument', `Cannot listen on ${listen}: ${messageOf(error)}.`, {
      hint: 'Choose another address with --signer-listen.',
      cause: error,
    });
  }
}

async function answer(
  { token, request }: SignRequest,
  { identity, client, namespace, log, metrics }: SignerOptions,
): Promise<SignResponse> {
  const key = await requestedKey(request);
  const node = await nodeOfToken(client, namespace, token);
  const certificate = await identity.signAgent(node, key);
  log.info('A certificate is issued.', { node });
  count({ metrics }, 'issued');
  return { certificate, authorities: identity.bundle };
}

function count({ metrics }: { metrics?: Metrics | undefined }, outcome: string): void {
  metrics?.count('lpm_certificates_total', 'Certificates that agents asked for.', { outcome });
}

function serviceError(error: unknown): Partial<ServiceError> {
  const passes = error instanceof ApiUnreachable || error instanceof ApiError;
  const known =
    error instanceof LpmError
      ? error
      : new LpmError(passes ? 'NoCertificate' : 'Internal', messageOf(error), { cause: error });
  return { code: known.grpcStatus, details: known.message };
}
