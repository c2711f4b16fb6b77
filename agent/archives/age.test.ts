import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  Decrypter,
  Encrypter,
  generateHybridIdentity,
  generateIdentity,
  identityToRecipient,
} from 'age-encryption';
import { LpmError } from '../../common/errors.js';
import { decrypt, encrypt, readKeys } from './age.js';

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

const PIECE = 64 * 1024;
const lengths = [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 17];
const reasonOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing',
    (error: unknown) => (error instanceof LpmError ? error.reason : String(error)),
  );

for (const [kind, generate] of [
  ['X25519', generateIdentity],
  ['post-quantum', generateHybridIdentity],
] as const) {
  test(`age's own library reads what is encrypted here, and is read here (${kind} keys)`, async () => {
    const identity = await generate();
    const recipient = await identityToRecipient(identity);
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipient);
    for (const length of lengths) {
      const plain = randomBytes(length);
      const ours = await all(encrypt(inPieces(plain, 50_000), [recipient]));
      assert.ok(plain.equals(await decrypter.decrypt(ours)), `${length} bytes from here to there`);
      const theirs = await encrypter.encrypt(plain);
      assert.ok(plain.equals(await all(decrypt(inPieces(theirs, 7777), [identity]))), `${length} bytes back`);
    }
  });
}

test('each of several recipients reads it, and nobody else', async () => {
  const identities = await Promise.all([generateIdentity(), generateIdentity(), generateIdentity()]);
  const [first, second, stranger] = identities as [string, string, string];
  const recipients = await Promise.all([first, second].map(identityToRecipient));
  const plain = randomBytes(100_000);
  const sealed = await all(encrypt(inPieces(plain, 1000), recipients));
  for (const identity of [first, second]) {
    assert.ok(plain.equals(await all(decrypt(inPieces(sealed, 999), [stranger, identity]))));
  }
  assert.equal(await reasonOf(all(decrypt(inPieces(sealed, 999), [stranger]))), 'EncryptionNotSetUp');
});

test('whatever is changed in it or cut off is noticed', async () => {
  const identity = await generateIdentity();
  const plain = randomBytes(2 * PIECE + 100);
  const sealed = await all(encrypt(inPieces(plain, 5000), [await identityToRecipient(identity)]));
  const opened = (bytes: Buffer): Promise<string> =>
    reasonOf(all(decrypt(inPieces(bytes, 5000), [identity])));
  assert.equal(await opened(sealed), 'nothing');
  const payload = sealed.length - (2 * PIECE + 100 + 3 * 16);
  for (const at of [3, payload - 1, payload, payload + PIECE + 16, sealed.length - 1]) {
    const changed = Buffer.from(sealed);
    changed[at]! ^= 1;
    assert.equal(await opened(changed), 'ArtifactInvalid', `byte ${at} of ${sealed.length} was changed`);
  }
  const stranger = Buffer.from(sealed);
  // To another letter of base64: anything else would be a header that cannot be read.
  stranger[40] = stranger[40] === 0x41 ? 0x42 : 0x41;
  assert.equal(await opened(stranger), 'EncryptionNotSetUp', 'a changed recipient is somebody else');
  for (const length of [
    0,
    10,
    payload - 5,
    payload,
    payload + 5,
    payload + PIECE + 16,
    payload + 2 * (PIECE + 16),
  ]) {
    assert.equal(await opened(sealed.subarray(0, length)), 'ArtifactInvalid', `cut to ${length} bytes`);
  }
  assert.equal(await opened(Buffer.concat([sealed, Buffer.from([0])])), 'ArtifactInvalid', 'a byte more');
});

test('files of keys are read as age reads them, and what is missing or wrong is told without repeating it', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-keys-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'keys');
  writeFileSync(file, '# ours\n\nage1one\r\n  age1two\n');
  assert.deepEqual(await readKeys(file, 'recipients'), ['age1one', 'age1two']);
  writeFileSync(file, '# nobody yet\n');
  assert.equal(await reasonOf(readKeys(file, 'recipients')), 'EncryptionNotSetUp');
  assert.equal(await reasonOf(readKeys(join(dir, 'none'), 'recipients')), 'EncryptionNotSetUp');
  assert.equal(await reasonOf(readKeys(undefined, 'identities')), 'EncryptionNotSetUp');
  const identity = await generateIdentity();
  await assert.rejects(
    all(encrypt(inPieces(Buffer.from('x'), 1), [identity])),
    (error) => error instanceof LpmError && !error.message.includes(identity.slice(20)),
  );
});
