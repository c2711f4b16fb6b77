import type { ServerWritableStream } from '@grpc/grpc-js';
import { LpmError } from '../../common/errors.js';
import type { ReadArchiveRequest, ReadArchiveResponse } from '../../proto/gen/lpm/v1/agent.js';
import type { Context } from '../context.js';
import { pacedWrites } from '../paced-writes.js';
import { openArchive, recordedArchive, verified } from './open.js';

const CHUNK_BYTES = 256 * 1024;

/**
 * Serves ReadArchive: an archive that this node has made. Of one that is in the repository its own copy is sent, to nodes that
 * have not mounted that.
 *
 * @throws ArchiveNotFound, ArtifactInvalid also at the end of a file that is not what it was
 */
export async function sendArchive(
  context: Context,
  call: ServerWritableStream<ReadArchiveRequest, ReadArchiveResponse>,
): Promise<void> {
  const { uri, sha256 } = call.request;
  const recorded = recordedArchive(context, uri);
  if (!recorded) {
    throw new LpmError('ArchiveNotFound', `Node ${context.nodeName} has no archive ${uri}.`);
  }
  if (sha256.length > 0 && !Buffer.from(recorded.info.sha256).equals(sha256)) {
    throw new LpmError(
      'ArtifactInvalid',
      `${uri} on node ${context.nodeName} is another archive than the one asked for.`,
    );
  }
  const write = pacedWrites(call, 'The reading agent');
  const { bytes } = await openArchive(context, uri);
  const expected = { sha256: recorded.info.sha256, size: Number(recorded.info.bytes) };
  let sent = 0;
  for await (const piece of verified(bytes, expected, `${uri} on node ${context.nodeName}`)) {
    for (let at = 0; at < piece.length; at += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES, piece.length - at);
      const data = Buffer.from(piece.buffer, piece.byteOffset + at, length);
      await write({ data }, data.length);
    }
    sent += piece.length;
  }
  context.metrics.add('lpm_agent_bytes_sent_total', '', sent);
}
