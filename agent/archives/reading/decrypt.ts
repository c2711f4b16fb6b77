import { Decrypter } from 'age-encryption';
import { LpmError, messageOf } from '../../../common/errors.js';
import { ByteReader } from './byte-reader.js';
import type { Decrypt } from './decode.js';

/** The header names who may read the file; it is read into memory before anything is known of it. */
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * Reads files of the age format (https://age-encryption.org/v1), each piece of which is authenticated before it is told.
 *
 * @param identities "AGE-SECRET-KEY-1…", any of which may be the right one
 */
export function decryptWith(identities: readonly string[]): Decrypt {
  return async function* (source) {
    const reader = new ByteReader(source);
    const start = await reader.take(MAX_HEADER_BYTES);
    if (!start.includes('\n--- ')) {
      await reader.close();
      throw damaged(`its header does not end within ${MAX_HEADER_BYTES / 1024} KiB`);
    }
    const decrypter = new Decrypter();
    for (const identity of identities) decrypter.addIdentity(identity);
    const all = reader.rest(start);
    try {
      const plain = await decrypter.decrypt(toWebStream(all));
      for await (const chunk of plain as unknown as AsyncIterable<Uint8Array>) yield chunk;
    } catch (error) {
      if (error instanceof LpmError) throw error;
      if (/no identity matched/.test(messageOf(error))) {
        throw new LpmError('ArtifactInvalid', 'It is encrypted, and this node has no key for it.', {
          hint: 'Give the agents the identity that belongs to one of its recipients (--archive-identities).',
          cause: error,
        });
      }
      throw damaged(messageOf(error), error);
    } finally {
      await all.return(undefined);
    }
  };
}

const damaged = (what: string, cause?: unknown): LpmError =>
  new LpmError('ArtifactInvalid', `Its encryption is damaged: ${what}.`, { cause });

/** Pulled chunk by chunk, so that no more is read than is decrypted. */
function toWebStream(source: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await source.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
    },
    { highWaterMark: 0 },
  );
}
