import { ArchiveCompression } from '../../proto/gen/lpm/v1/agent.js';
import { AGE_MAGIC, encrypt, readKeys } from './age.js';
import { compress, GZIP_MAGIC, usedCompression, ZSTD_MAGIC } from './compress.js';
import { suffixOf } from './layout.js';
import type { ArchiveSettings } from './settings.js';

/** What is asked to be done to a tar before it is kept. */
export interface SealOptions {
  compression: ArchiveCompression;
  encrypt: boolean;
}

/** What will be done: compressed first, then encrypted. */
export interface Seal {
  /** The end of the archive's name. */
  suffix: string;
  /** The bytes stay as they are. */
  plain: boolean;
  apply(tar: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

/**
 * Finds out how archives are sealed here. Asked before anything is frozen.
 *
 * @throws EncryptionNotSetUp, InvalidArgument
 */
export async function prepareSeal(
  { recipientsFile }: Pick<ArchiveSettings, 'recipientsFile'>,
  options: SealOptions,
): Promise<Seal> {
  const used = await usedCompression(options.compression);
  const recipients = options.encrypt ? await readKeys(recipientsFile, 'recipients') : [];
  // What is no recipient is found out now, not when the pod has been frozen for it.
  if (options.encrypt) for await (const piece of encrypt(nothing(), recipients)) void piece;
  return {
    suffix: suffixOf(used, options.encrypt),
    plain: used === ArchiveCompression.ARCHIVE_COMPRESSION_NONE && !options.encrypt,
    apply: (tar) => {
      const packed = compress(tar, used);
      return options.encrypt ? encrypt(packed, recipients) : packed;
    },
  };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** The end of the name of an archive that begins with these bytes: what is compressed inside of age cannot be seen. */
export function suffixOfBytes(begin: Buffer): string {
  const is = (magic: Buffer): boolean => begin.subarray(0, magic.length).equals(magic);
  const { ARCHIVE_COMPRESSION_GZIP, ARCHIVE_COMPRESSION_NONE, ARCHIVE_COMPRESSION_ZSTD } = ArchiveCompression;
  if (is(AGE_MAGIC)) return suffixOf(ARCHIVE_COMPRESSION_NONE, true);
  if (is(GZIP_MAGIC)) return suffixOf(ARCHIVE_COMPRESSION_GZIP, false);
  return suffixOf(is(ZSTD_MAGIC) ? ARCHIVE_COMPRESSION_ZSTD : ARCHIVE_COMPRESSION_NONE, false);
}
