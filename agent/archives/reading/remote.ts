import type { ChannelCredentials, ServiceError } from '@grpc/grpc-js';
import { closeClient } from '../../../common/grpc/close-client.js';
import { LpmError, messageOf } from '../../../common/errors.js';
import type { ReadArchiveResponse } from '../../../proto/gen/lpm/v1/agent.js';
import { fromServiceError } from '../../rpc-errors.js';
import { connectAgent } from '../../transfer.js';

/**
 * The bytes of an archive that lies on another node, read through its agent.
 *
 * @throws TransferFailed when the connection breaks, or what the other agent says
 */
export async function* readRemoteArchive(
  credentials: ChannelCredentials,
  { uri, sha256 }: { uri: string; sha256: Buffer },
  { address, nodeName }: { address: string; nodeName: string },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const client = connectAgent(credentials, address, nodeName);
  const peer = `node ${nodeName}`;
  const stream = client.readArchive({ uri, sha256 });
  const cancel = (): void => stream.cancel();
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  try {
    for await (const { data } of stream as AsyncIterable<ReadArchiveResponse>) yield data;
  } catch (error) {
    if (error instanceof LpmError) throw error;
    if (typeof (error as ServiceError).code === 'number') throw fromServiceError(error as ServiceError, peer);
    throw new LpmError('TransferFailed', `${peer}: ${messageOf(error)}.`, { cause: error });
  } finally {
    signal.removeEventListener('abort', cancel);
    stream.cancel();
    void closeClient(client);
  }
}
