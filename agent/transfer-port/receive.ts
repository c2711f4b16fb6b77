import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { LpmError } from '../../common/errors.js';
import type { ContainerArtifact } from '../../proto/gen/lpm/v1/agent.js';
import type { ArchiveStore } from './store.js';
import type { Part, Transfer } from './transfers.js';

/**
 * Writes an upload to a temporary file, no byte more than was announced, and has it kept when it is what was announced.
 * Leaves no file behind when it fails.
 *
 * @param received called when the last byte has come and only the checking is left
 */
export async function receive(
  store: ArchiveStore,
  transfer: Transfer,
  part: Part,
  body: Readable,
  received: () => void,
): Promise<ContainerArtifact> {
  const { source, bytes } = part;
  const file = await store.placeFor(transfer, source);
  try {
    const hash = createHash('sha256');
    await pipeline(
      body,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          part.done += chunk.length;
          if (part.done > bytes)
            throw new LpmError('ArtifactInvalid', `More than the announced ${bytes} bytes came.`);
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(file, { flags: 'wx', mode: 0o600 }),
      { signal: transfer.over.signal },
    );
    received();
    if (part.done !== bytes)
      throw new LpmError('TransferFailed', `Only ${part.done} of the announced ${bytes} bytes came.`);
    if (!hash.digest().equals(source.sha256))
      throw new LpmError('ArtifactInvalid', 'What came has another SHA-256 than was announced.');
    const written = await open(file, 'r');
    await written.sync().finally(() => written.close());
    return await store.keep(file, transfer, source);
  } finally {
    await rm(file, { force: true });
  }
}
