/** Asks the controller for a certificate. */
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { SIGNER_DNS_NAME } from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import { channelCredentials } from '../../common/grpc/client-credentials.js';
import {
  IdentityServiceClient,
  type SignRequest,
  type SignResponse,
} from '../../proto/gen/lpm/v1/identity.js';
import type { Authority } from './authority.js';

/** An answer takes some milliseconds, of a busy API server some hundred. */
const PATIENCE_MS = 10_000;

/**
 * Asks one after the other until one answers.
 *
 * @throws NoCertificate with what each of them said
 */
export async function askSigners({ ca, signers }: Authority, request: SignRequest): Promise<SignResponse> {
  const refusals: string[] = [];
  for (const address of signers) {
    try {
      return await ask(address, ca, request);
    } catch (error) {
      refusals.push(`${address}: ${(error as ServiceError).details || String(error)}`);
    }
  }
  throw new LpmError('NoCertificate', `Nobody signs a certificate for this agent (${refusals.join('; ')}).`);
}

async function ask(address: string, ca: string, request: SignRequest): Promise<SignResponse> {
  const client = new IdentityServiceClient(address, channelCredentials({ ca }), {
    'grpc.ssl_target_name_override': SIGNER_DNS_NAME,
    'grpc.default_authority': SIGNER_DNS_NAME,
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
  });
  try {
    return await new Promise<SignResponse>((resolve, reject) =>
      client.sign(request, new Metadata(), { deadline: Date.now() + PATIENCE_MS }, (error, response) =>
        error ? reject(error) : resolve(response),
      ),
    );
  } finally {
    client.close();
  }
}
