import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Decrypter, Encrypter } from 'age-encryption';
import { LpmError, messageOf } from '../../common/errors.js';
import { Pieces } from './pieces.js';

/**
 * age files (https://c2sp.org/age): the header, in which the file's key is wrapped for each recipient, is made and opened by
 * the library; the payload (STREAM over ChaCha20-Poly1305 in pieces of 64 KiB) is OpenSSL's, some ten times as fast here.
 */
const PIECE_BYTES = 64 * 1024;
const TAG_BYTES = 16;
const NONCE_BYTES = 16;
const CIPHER = 'chacha20-poly1305';
/** A recipient takes some 150 bytes, one that is safe against quantum computers some 1600. */
const MAX_HEADER_BYTES = 256 * 1024;

/** How every age file begins. */
export const AGE_MAGIC = Buffer.from('age-encryption.org/v1\n');

const USE = { recipients: 'to encrypt archives for', identities: 'to read encrypted archives with' } as const;

/**
 * Recipients or identities as age's own files list them: one in a line, empty lines and `#` comments between.
 *
 * @throws EncryptionNotSetUp
 */
export async function readKeys(
  file: string | undefined,
  what: 'recipients' | 'identities',
): Promise<string[]> {
  const hint = `Give the agents a file of age ${what} with --archive-${what}.`;
  if (!file) {
    throw new LpmError('EncryptionNotSetUp', `This agent has no age ${what} ${USE[what]}.`, { hint });
  }
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new LpmError(
      'EncryptionNotSetUp',
      `The file of ${what}, ${file}, cannot be read: ${messageOf(error)}.`,
      { hint, cause: error },
    );
  });
  const keys = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line && !line.startsWith('#'));
  if (keys.length === 0)
    throw new LpmError('EncryptionNotSetUp', `The file of ${what}, ${file}, lists none.`, { hint });
  return keys;
}

/** The key of a new file, and the header that holds it for the recipients. */
async function newHeader(recipients: readonly string[]): Promise<{ key: Uint8Array; header: Buffer }> {
  const encrypter = new Encrypter();
  let key: Uint8Array | undefined;
  try {
    for (const recipient of recipients) encrypter.addRecipient(recipient);
  } catch (error) {
    // The library's sentence may repeat what stands in the file, which may be an identity by mistake.
    throw new LpmError('EncryptionNotSetUp', 'The file of recipients holds something that is none.', {
      hint: 'A recipient begins with "age1"; identities (AGE-SECRET-KEY-…) belong into the other file.',
      cause: error,
    });
  }
  // One more "recipient", for whom nothing is written: it is only told the key.
  encrypter.addRecipient({
    wrapFileKey: (fileKey) => {
      key = fileKey.slice();
      return [];
    },
  });
  const empty = Buffer.from(await encrypter.encrypt(new Uint8Array()));
  const end = endOfHeader(empty);
  if (!key || end === undefined) throw new LpmError('Internal', 'The age library made no header.');
  return { key, header: empty.subarray(0, end) };
}

/** The header's last line is "--- " and its MAC. */
function endOfHeader(bytes: Buffer): number | undefined {
  const mac = bytes.indexOf('\n--- ');
  const end = mac < 0 ? -1 : bytes.indexOf('\n', mac + 1);
  return end < 0 ? undefined : end + 1;
}

const payloadKey = (fileKey: Uint8Array, nonce: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', fileKey, nonce, 'payload', 32));

/** Eleven bytes that count the pieces, and one that marks the last. */
function pieceNonce(piece: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(piece, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/** Encrypts for recipients as `readKeys` answers them. */
export async function* encrypt(
  plain: AsyncIterable<Uint8Array>,
  recipients: readonly string[],
): AsyncGenerator<Buffer> {
  const { key, header } = await newHeader(recipients);
  const nonce = randomBytes(NONCE_BYTES);
  const secret = payloadKey(key, nonce);
  yield Buffer.concat([header, nonce]);
  const pieces = new Pieces(plain);
  for (let piece = 0; ; piece++) {
    const data = await pieces.take(PIECE_BYTES);
    const last = await pieces.atEnd();
    const cipher = createCipheriv(CIPHER, secret, pieceNonce(piece, last), { authTagLength: TAG_BYTES });
    yield Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]);
    if (last) return;
  }
}

/**
 * Decrypts with identities as `readKeys` answers them. What it has yielded is authentic as it comes, and complete only when
 * it ends without an error.
 *
 * @throws ArtifactInvalid for what is damaged, cut or no age file, EncryptionNotSetUp when no identity opens it
 */
export async function* decrypt(
  sealed: AsyncIterable<Uint8Array>,
  identities: readonly string[],
): AsyncGenerator<Buffer> {
  const bad = (what: string, cause?: unknown): LpmError =>
    new LpmError('ArtifactInvalid', `The encrypted archive ${what}.`, { cause });
  const pieces = new Pieces(sealed);
  const header = await pieces.takeUntil(endOfHeader, MAX_HEADER_BYTES);
  if (!header || !header.subarray(0, AGE_MAGIC.length).equals(AGE_MAGIC)) throw bad('is no age file');
  const key = await fileKey(header, identities, bad);
  const nonce = await pieces.take(NONCE_BYTES);
  if (nonce.length < NONCE_BYTES) throw bad('ends within its header');
  const secret = payloadKey(key, nonce);
  for (let piece = 0; ; piece++) {
    const data = await pieces.take(PIECE_BYTES + TAG_BYTES);
    const last = await pieces.atEnd();
    if (data.length < TAG_BYTES) throw bad('is cut');
    const decipher = createDecipheriv(CIPHER, secret, pieceNonce(piece, last), { authTagLength: TAG_BYTES });
    decipher.setAuthTag(data.subarray(-TAG_BYTES));
    const plain = decipher.update(data.subarray(0, -TAG_BYTES));
    try {
      decipher.final();
    } catch (error) {
      throw bad('is damaged or cut', error);
    }
    if (plain.length === 0 && piece > 0) throw bad('ends with an empty piece');
    if (plain.length > 0) yield plain;
    if (last) return;
  }
}

async function fileKey(
  header: Buffer,
  identities: readonly string[],
  bad: (what: string, cause: unknown) => LpmError,
): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
  } catch (error) {
    throw new LpmError('EncryptionNotSetUp', 'The file of identities holds something that is none.', {
      hint: 'An identity begins with "AGE-SECRET-KEY-".',
      cause: error,
    });
  }
  try {
    return await decrypter.decryptHeader(header);
  } catch (error) {
    if (/no identity matched/.test(messageOf(error))) {
      throw new LpmError(
        'EncryptionNotSetUp',
        'The archive is encrypted for somebody else than the identities of this agent.',
        { hint: 'Add the identity that belongs to one of its recipients.', cause: error },
      );
    }
    throw bad('has a header that cannot be read', error);
  }
}
