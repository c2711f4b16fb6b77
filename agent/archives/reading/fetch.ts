import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Context } from '../../context.js';
import type { ReceivedFile } from '../../transfer.js';
import { openArchive } from '../open.js';
import { decryptWith } from './decrypt.js';
import { readRemoteArchive } from './remote.js';
import type { CheckedSource } from './source.js';
import { roomIn, unpackArchive } from './unpack.js';

/**
 * Brings the archives of a pod's containers into its folder `incoming`, each unpacked and checked; what an earlier try left
 * there goes.
 *
 * @param onBytes called with how many bytes of the archives were read so far
 */
export async function fetchArchives(
  context: Context,
  sources: readonly CheckedSource[],
  podUid: string,
  credentials: () => ChannelCredentials,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<ReceivedFile[]> {
  const incoming = join(context.state.pod(podUid), 'incoming');
  rmSync(incoming, { recursive: true, force: true });
  mkdirSync(incoming, { recursive: true, mode: 0o700 });
  let read = 0;
  const counted = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      signal.throwIfAborted();
      read += chunk.length;
      onBytes(read);
      yield chunk;
    }
  };
  const files: ReceivedFile[] = [];
  for (const source of sources) {
    const bytes = source.remote
      ? readRemoteArchive(credentials(), source, source.remote, signal)
      : (await openArchive(context, source.uri)).bytes;
    const expected = {
      uri: source.uri,
      sha256: source.sha256,
      bytes: source.bytes,
      container: source.container,
    };
    const unpacked = await unpackArchive(
      counted(bytes),
      join(incoming, source.container),
      expected,
      await roomIn(incoming),
      decryptWith(context.archives),
    );
    files.push(...unpacked.files);
  }
  context.metrics.add('lpm_agent_bytes_received_total', '', read);
  return files;
}
