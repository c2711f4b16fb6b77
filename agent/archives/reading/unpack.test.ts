import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { LpmError } from '../../../common/errors.js';
import { ArchiveCompression } from '../../../proto/gen/lpm/v1/agent.js';
import { paxHeader, rawMember, rawTar, type RawMember } from '../../../test/support/raw-tar.js';
import { archiveParts, chunksOf, manifestOf } from '../../../test/support/raw-archive.js';
import { prepareSeal } from '../seal.js';
import { decode } from './decode.js';
import { decryptWith } from './decrypt.js';
import { unpackArchive, type UnpackedArchive } from './unpack.js';

const scratch = mkdtempSync(join(tmpdir(), 'lpm-unpack-'));
after(() => rmSync(scratch, { recursive: true }));

const contents = {
  'checkpoint/inventory.img': Buffer.from('inventory'),
  'checkpoint/pages-1.img': randomBytes(300_000),
  'config.dump': Buffer.from('{}'),
  'volumes/data.tar': Buffer.alloc(1024),
  'container.log': Buffer.alloc(0),
};

const folderOf = (): string => join(mkdtempSync(join(scratch, 'to-')), 'unpacked');

const unpack = (
  bytes: Buffer,
  {
    decrypt = decryptWith({ identitiesFile: undefined }),
    folder = folderOf(),
    limit = 2 ** 40,
    announced = bytes,
    chunk = 10_000,
  } = {},
): Promise<UnpackedArchive> =>
  unpackArchive(
    chunksOf(bytes, chunk),
    folder,
    {
      uri: 'shared://a.tar',
      sha256: createHash('sha256').update(announced).digest(),
      bytes: announced.length,
      container: 'counter',
    },
    { bytes: limit },
    decrypt,
  );

const refused = async (
  work: Promise<unknown>,
  says: RegExp,
  reason = 'ArtifactInvalid',
  hint = /(?:)/,
): Promise<void> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof LpmError, String(error));
  assert.equal(error.reason, reason, error.message);
  assert.match(error.message, says);
  assert.match(error.hint, hint);
};

const plain = rawTar(...archiveParts(contents));
const zstd = (bytes: Buffer): Buffer =>
  spawnSync('zstd', ['-q', '-c'], { input: bytes, maxBuffer: 1 << 30 }).stdout;
const keys = {
  recipientsFile: join(scratch, 'recipients'),
  identitiesFile: join(scratch, 'identities'),
  otherFile: join(scratch, 'others'),
};
const identity = await generateX25519Identity();
writeFileSync(keys.recipientsFile, await identityToRecipient(identity));
writeFileSync(keys.identitiesFile, `# ours\n${await generateX25519Identity()}\n${identity}\n`);
writeFileSync(keys.otherFile, await generateX25519Identity());
const encrypt = async (bytes: Buffer): Promise<Buffer> => {
  const seal = await prepareSeal(keys, {
    compression: ArchiveCompression.ARCHIVE_COMPRESSION_NONE,
    encrypt: true,
  });
  const parts: Uint8Array[] = [];
  for await (const part of seal.apply(chunksOf(bytes, 65_536))) parts.push(part);
  return Buffer.concat(parts);
};
const decrypt = decryptWith(keys);

const wrappings: [name: string, bytes: () => Buffer | Promise<Buffer>][] = [
  ['as it is', () => plain],
  ['compressed with gzip', () => gzipSync(plain)],
  ['compressed with zstd', () => zstd(plain)],
  ['encrypted', () => encrypt(plain)],
  ['encrypted and compressed with gzip', () => encrypt(gzipSync(plain))],
  ['encrypted and compressed with zstd', () => encrypt(zstd(plain))],
];
for (const [name, bytes] of wrappings) {
  test(`an archive ${name} is unpacked: every file, whole, for root only`, async () => {
    for (const chunk of [511, 65_536]) {
      const folder = folderOf();
      const { manifest, files } = await unpack(await bytes(), { folder, decrypt, chunk });
      assert.equal(manifest.pod.name, 'counter');
      assert.deepEqual(
        files.map(({ path }) => path),
        Object.keys(contents),
      );
      for (const [path, data] of Object.entries(contents)) {
        assert.ok(readFileSync(join(folder, path)).equals(data), path);
        assert.equal(lstatSync(join(folder, path)).mode & 0o7777, 0o600);
      }
      for (const each of ['.', 'checkpoint', 'volumes']) {
        assert.equal(lstatSync(join(folder, each)).mode & 0o7777, 0o700);
      }
    }
  });

  test(`an archive ${name} that was cut off or altered anywhere is refused for that`, async () => {
    const whole = await bytes();
    for (const at of [0, 1, 300, 600, Math.floor(whole.length / 2), whole.length - 1]) {
      await refused(
        unpack(whole.subarray(0, at), { decrypt, announced: whole }),
        new RegExp(`shared://a.tar is cut off: ${at} of ${whole.length} bytes`),
      );
      const altered = Buffer.from(whole);
      altered[at]! ^= 0x10;
      await refused(unpack(altered, { decrypt, announced: whole }), /has the SHA-256 [0-9a-f]{64}, not /);
      // Whoever alters it may also say so; then its own parts tell.
      if (at < whole.length - 1) {
        await refused(unpack(whole.subarray(0, at), { decrypt }), /refused: /);
      }
    }
    await refused(
      unpack(Buffer.concat([whole, Buffer.from('x')]), { decrypt, announced: whole }),
      /is longer than/,
    );
  });
}

test('an encrypted archive without its key is refused with what to do', async () => {
  const bytes = await encrypt(plain);
  await refused(
    unpack(bytes),
    /^The archive shared:\/\/a.tar is refused: This agent has no age identities to read encrypted archives with\.$/,
    'EncryptionNotSetUp',
    /--archive-identities/,
  );
  const other = decryptWith({ identitiesFile: keys.otherFile });
  await refused(unpack(bytes, { decrypt: other }), /encrypted for somebody else/, 'EncryptionNotSetUp');
});

test('however the reading of an archive ends, what it was read from is closed', async () => {
  const none = decryptWith({ identitiesFile: undefined });
  for (const [name, bytes] of wrappings) {
    for (const [key, opener] of [
      ['with its key', decrypt],
      ['without', none],
    ] as const) {
      let closed = false;
      const source = async function* (): AsyncGenerator<Uint8Array> {
        try {
          yield* chunksOf(await bytes(), 10_000);
        } finally {
          closed = true;
        }
      };
      const read = decode(source(), opener);
      const begun = await read.next().catch((error: unknown) => error);
      assert.equal(begun instanceof LpmError, opener === none && name.startsWith('encrypted'));
      await read.return(undefined);
      assert.ok(closed, `${name}, ${key}`);
    }
  }
});

test('an age header without end is not read into memory', async () => {
  const endless = Buffer.concat([
    Buffer.from('age-encryption.org/v1\n-> X25519 '),
    Buffer.alloc(1 << 20, 'A'),
  ]);
  await refused(unpack(endless, { decrypt }), /is no age file/);
});

const lists = (more: object): Buffer =>
  rawMember({ name: 'lpm.json', data: JSON.stringify({ ...manifestOf(contents), ...more }) });
const [first, ...rest] = archiveParts(contents);
const files = manifestOf(contents).files;
const extra = (member: RawMember): Buffer => rawTar(first!, ...rest, member);
const listed = (path: string, data: Buffer, member: RawMember | Buffer): Buffer =>
  rawTar(
    lists({ files: [{ path, size: data.length, sha256: createHash('sha256').update(data).digest('hex') }] }),
    member,
  );

const hostile: [name: string, bytes: Buffer, says: RegExp][] = [
  ['nothing', rawTar(), /is empty/],
  ['no bytes at all', Buffer.alloc(0), /is cut off/],
  ['what is no tar archive', randomBytes(4096), /no tar archive in the POSIX format/],
  [
    'an archive without lpm.json',
    rawTar(...rest),
    /begins with "checkpoint\/inventory.img", not with lpm.json/,
  ],
  ['an archive whose lpm.json comes later', rawTar(...rest, first!), /not with lpm.json/],
  ['lpm.json as a folder', rawTar({ name: 'lpm.json', type: '5' }), /not with lpm.json/],
  [
    'lpm.json as a link',
    rawTar({ name: 'lpm.json', type: '2', linkName: '/etc/shadow' }),
    /not with lpm.json/,
  ],
  ['lpm.json twice', extra({ name: 'lpm.json', data: '{}' }), /"lpm.json" twice/],
  ['lpm.json that is no JSON', rawTar({ name: 'lpm.json', data: '{' }), /not JSON/],
  ['lpm.json that is a list', rawTar({ name: 'lpm.json', data: '[]' }), /not an object/],
  ['lpm.json of another version', rawTar(lists({ version: 2 })), /unknown version 2/],
  ['the container of somebody else', rawTar(lists({ container: 'other' })), /container other, not counter/],
  ['a container name that leads out', rawTar(lists({ container: '../x' })), /not a DNS-1123 label/],
  [
    'a list with a path that leads out',
    rawTar(lists({ files: [{ ...files[0], path: '../x' }] })),
    /unknown file/,
  ],
  [
    'a list with an absolute path',
    rawTar(lists({ files: [{ ...files[0], path: '/etc/x' }] })),
    /unknown file/,
  ],
  [
    'a list with a path below a known folder that leads out',
    rawTar(lists({ files: [{ ...files[0], path: 'checkpoint/../../x' }] })),
    /unknown file/,
  ],
  ['a list with a path twice', rawTar(lists({ files: [files[0], files[0]] })), /twice/],
  ['a list with a negative size', rawTar(lists({ files: [{ ...files[0], size: -1 }] })), /size that is none/],
  [
    'a list with an endless size',
    rawTar(lists({ files: [{ ...files[0], size: 1e300 }] })),
    /size that is none/,
  ],
  [
    'a list with no hash',
    rawTar(lists({ files: [{ path: 'config.dump', size: 1 }] })),
    /SHA-256 that is none/,
  ],
  [
    'a file that is not listed',
    extra({ name: 'spec.dump', data: '{}' }),
    /"spec.dump", which lpm.json does not/,
  ],
  ['a file twice', extra({ name: 'config.dump', data: '{}' }), /"config.dump" twice/],
  ['a file that is missing', rawTar(first!, ...rest.slice(1)), /lacks checkpoint\/inventory.img/],
  ['a name that leads out', extra({ name: '../x', data: 'x' }), /"..\/x", which lpm.json does not list/],
  ['an absolute name', extra({ name: '/etc/passwd', data: 'x' }), /does not list/],
  ['a dot before a known name', extra({ name: './config.dump', data: '{}' }), /does not list/],
  ['a symbolic link', extra({ name: 'volumes/x.tar', type: '2', linkName: '/etc' }), /no regular file/],
  [
    'a folder replaced by a link',
    rawTar(first!, { name: 'checkpoint', type: '2', linkName: '/' }),
    /no regular/,
  ],
  ['a hard link', extra({ name: 'spec.dump', type: '1', linkName: '/etc/shadow' }), /no regular file/],
  ['a device', extra({ name: 'spec.dump', type: '4' }), /no regular file/],
  ['a FIFO', extra({ name: 'spec.dump', type: '6' }), /no regular file/],
  ['another folder', extra({ name: 'other/', type: '5' }), /no regular file/],
  ['a GNU long name', extra({ name: '././@LongLink', type: 'L', data: '../x' }), /unknown type "L"/],
  ['a sparse file of GNU tar', extra({ name: 'spec.dump', type: 'S' }), /unknown type "S"/],
  ['a global header', extra({ name: 'x', type: 'g', data: '11 path=x\n' }), /unknown type "g"/],
  [
    'a name in an extended header',
    rawTar(first!, ...rest, paxHeader([['path', '../x']]), rawMember({ name: 'spec.dump' })),
    /the extended header "path"/,
  ],
  [
    'holes in an extended header',
    rawTar(first!, paxHeader([['GNU.sparse.realsize', '99999999999']]), ...rest),
    /the extended header "GNU.sparse.realsize"/,
  ],
  ['two sizes for one entry', rawTar(first!, paxHeader([['size', '3']]), ...rest), /two sizes for one entry/],
  [
    'a size in base 256',
    rawTar({ name: 'lpm.json', size: Buffer.alloc(12, 0xff) }),
    /size that is no number/,
  ],
  ['a wrong checksum', rawTar(first!, { name: 'config.dump', checksumOff: 1 }), /checksum is wrong/],
  ['the format of GNU tar', rawTar({ name: 'lpm.json', magic: 'ustar  \0' }), /POSIX format/],
  ['something after the end', Buffer.concat([plain, rawMember({ name: 'x' })]), /something after its end/],
  ['endless zeros after the end', Buffer.concat([plain, Buffer.alloc(2 << 20)]), /something after its end/],
  ['only one block of zeros at the end', plain.subarray(0, plain.length - 512), /no proper end/],
  [
    'a file of another size than listed',
    listed('config.dump', Buffer.from('{}'), { name: 'config.dump', data: '{ }' }),
    /of 3 bytes, where lpm.json says 2/,
  ],
  [
    'a file of other contents than listed',
    listed('config.dump', Buffer.from('{}'), { name: 'config.dump', data: '[]' }),
    /config.dump with another SHA-256/,
  ],
];
for (const [name, bytes, says] of hostile) {
  test(`refused: ${name}`, () => refused(unpack(bytes), says));
}

test('refused: a folder that is there already, and nothing in it is touched', async () => {
  const folder = mkdtempSync(join(scratch, 'there-'));
  await refused(unpack(plain, { folder }), /EEXIST/, 'StageFailed');
});

test('more than there is room for is refused before anything is written', async () => {
  const folder = folderOf();
  await refused(unpack(plain, { folder, limit: 300_000 }), /there is room for 1 MiB/, 'NoSpace');
  assert.throws(() => lstatSync(join(folder, 'checkpoint')), /ENOENT/);
});

test('a bomb is given up where it says something else than its list, in bounded memory', async () => {
  const zeros = Buffer.alloc(1 << 20);
  const endless = rawMember({ name: 'config.dump', size: 8 * 1024 ** 3 - 1 });
  for (const [compress, format] of [
    [gzipSync, 'gzip'],
    [zstd, 'zstd'],
  ] as const) {
    // Compressed pieces may stand one after another in both formats.
    const piece = compress(zeros);
    const start = compress(Buffer.concat([first!, endless]));
    const bomb = Buffer.concat([start, ...Array.from({ length: 8191 }, () => piece)]);
    const before = process.memoryUsage().rss;
    await refused(unpack(bomb), /config.dump of 8589934591 bytes, where lpm.json says 2/);
    assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024, `memory stays bounded (${format})`);
  }
});
