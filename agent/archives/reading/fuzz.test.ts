/**
 * Thousands of archives that somebody has tampered with: none writes outside its folder, none is taken for what it is not, and
 * each is refused with a reason. `LPM_FUZZ=10000` (npm run test:fuzz) makes more of them than `npm test`.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { LpmError } from '../../../common/errors.js';
import { archiveParts, chunksOf, manifestOf, type Contents } from '../../../test/support/raw-archive.js';
import { END_OF_TAR, paxHeader, rawMember, rawTar } from '../../../test/support/raw-tar.js';
import { Host } from '../../host.js';
import { checkTar } from '../../tar-check.js';
import { scanTar } from '../../tar-scan.js';
import { extractTar } from '../../tar.js';
import { describeArchive } from '../describing/describe.js';
import { decryptWith } from './decrypt.js';
import { unpackArchive } from './unpack.js';

const RUNS = Number(process.env.LPM_FUZZ ?? 1000);
const MEBIBYTE = 1024 * 1024;
const decrypt = decryptWith({ identitiesFile: undefined });

/** A world of files around the folder that is unpacked to; nothing of it may ever change. */
const world = mkdtempSync(join(tmpdir(), 'lpm-fuzz-'));
after(() => rmSync(world, { recursive: true }));
const around = join(world, 'state/pods/pod/incoming');
const target = join(around, 'counter');
mkdirSync(around, { recursive: true });
for (const folder of ['', 'state/pods/pod', 'state/pods/pod/incoming']) {
  writeFileSync(join(world, folder, 'x'), 'untouched');
  writeFileSync(join(world, folder, 'passwd'), 'root');
  mkdirSync(join(world, folder, 'etc'));
  symlinkSync('/etc', join(world, folder, 'link'));
}

function photograph(): string {
  const seen: string[] = [];
  const visit = (path: string): void => {
    if (path === target) return;
    const stat = lstatSync(path, { bigint: true });
    const what = [path, stat.ino, stat.mode, stat.uid];
    // The folder around loses and gets its one entry.
    if (path !== around) what.push(stat.nlink, stat.mtimeNs, stat.ctimeNs, stat.size);
    if (stat.isSymbolicLink()) what.push(readlinkSync(path));
    seen.push(what.join(' '));
    if (stat.isDirectory())
      readdirSync(path)
        .sort()
        .forEach((name) => visit(join(path, name)));
  };
  visit(world);
  return seen.join('\n');
}
const untouched = photograph();

/** Everything below a folder; links are not followed (as Node's own recursion does). */
function below(folder: string, prefix = ''): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = prefix ? `${prefix}/${entry.name}` : entry.name;
    return entry.isDirectory() ? [path, ...below(folder, path)] : [path];
  });
}

const contents: Contents = {
  'checkpoint/inventory.img': Buffer.from('inventory'),
  'checkpoint/pages-1.img': Buffer.alloc(3000, 'p'),
  'config.dump': Buffer.from('{}'),
  'container.log': Buffer.alloc(0),
  'volumes/data.tar': rawTar({ name: './', type: '5' }),
};
const parts = archiveParts(contents);

// ---------------------------------------------------------------------------------------------------- what is generated

/** Names that lead somewhere, seem to be known, are no text, or are too long. */
const names = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...Object.keys(contents), 'spec.dump', 'dev-shm.tar', 'lpm.json') },
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      ...[
        '../x',
        '../../x',
        '../../../../x',
        'checkpoint/../../x',
        'checkpoint/../x',
        './config.dump',
        '..',
        '.',
        '',
      ],
      ...[
        '/etc/passwd',
        join(world, 'x'),
        join(around, 'x'),
        `/${world}/passwd`,
        'link/passwd',
        'etc/passwd',
      ],
      ...[
        'checkpoint',
        'checkpoint/',
        'volumes',
        'volumes/',
        'volumes/../x.tar',
        'volumes/.tar',
        'checkpoint//x',
      ],
      ...[
        'config.dump/',
        'config.dump\0x',
        'checkpoint/\n',
        'CON',
        'checkpoint\\..\\x',
        '~/x',
        'checkpoint/.x',
      ],
    ),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 120 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)) },
);
const types = fc.constantFrom(...'0123456759xgLKSDMVNA\0', '0', '0', '2', '1');
const data = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  fc.uint8Array({ maxLength: 1500 }).map((bytes) => Buffer.from(bytes)),
  // What another reader might take for members.
  fc.constant(rawTar({ name: 'link2', type: '2', linkName: world }, { name: 'link2/x', data: 'written' })),
);
const sizes = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 511, 512, 513, 2 ** 31, 8 ** 11 - 1) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(
        Buffer.alloc(12, 0xff), // -1 in base 256
        Buffer.concat([Buffer.from([0x80]), Buffer.alloc(10), Buffer.from([5])]),
        Buffer.concat([Buffer.from([0x80]), Buffer.alloc(11, 0xff)]),
        Buffer.from('-0000000001\0'),
        Buffer.from('99999999999\0'),
        Buffer.from('0x000000010\0'),
        Buffer.alloc(12, ' '),
      )
      .map((bytes) => Buffer.from(bytes)),
  },
);
const members = fc
  .record({
    name: names,
    type: types,
    linkName: names,
    data,
    size: sizes,
    checksumOff: fc.constantFrom(0, 0, 0, 0, 1, -1),
    magic: fc.constantFrom('ustar\x0000', 'ustar\x0000', 'ustar\x0000', 'ustar  \0', 'tar'),
  })
  .map(({ size, ...member }) => rawMember({ ...member, ...(size === undefined ? {} : { size }) }));
const paxRecords = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        ...['path', 'linkpath', 'size', 'uid', 'mtime', 'hdrcharset', 'comment', 'SCHILY.xattr.user.x'],
        ...[
          'GNU.sparse.name',
          'GNU.sparse.major',
          'GNU.sparse.minor',
          'GNU.sparse.realsize',
          'GNU.sparse.map',
        ],
      ),
      fc.oneof(
        names,
        fc.constantFrom('1', '0', '3000', '-1', '1e9', '99999999999999999999', '1024', '8589934592'),
      ),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map(paxHeader);
const pieces = fc.oneof({ weight: 3, arbitrary: members }, { weight: 1, arbitrary: paxRecords });

type Tampering = (blocks: Buffer[]) => Buffer[];
const insert = fc.tuple(fc.nat(), pieces).map(([at, piece]): Tampering => (blocks) => {
  const place = at % (blocks.length + 1);
  return [...blocks.slice(0, place), piece, ...blocks.slice(place)];
});
const pick = (blocks: Buffer[], at: number): number => at % Math.max(1, blocks.length);
const tamperings: fc.Arbitrary<Tampering> = fc.oneof(
  { weight: 4, arbitrary: insert },
  fc.nat().map(
    (at): Tampering =>
      (blocks) =>
        blocks.filter((_, each) => each !== pick(blocks, at)),
  ),
  fc.nat().map((at): Tampering => (blocks) => [...blocks, ...blocks.slice(pick(blocks, at)).slice(0, 1)]),
  fc.tuple(fc.nat(), fc.nat(), fc.nat(255)).map(
    ([at, byte, value]): Tampering =>
      (blocks) =>
        blocks.map((block, each) => {
          if (each !== pick(blocks, at) || block.length === 0) return block;
          const changed = Buffer.from(block);
          changed[byte % changed.length] = value;
          return changed;
        }),
  ),
  fc.tuple(fc.nat(), pieces).map(
    ([at, piece]): Tampering =>
      (blocks) =>
        blocks.map((block, each) => (each === pick(blocks, at) ? piece : block)),
  ),
  // lpm.json says something else.
  fc
    .tuple(
      fc.constantFrom('path', 'size', 'sha256'),
      fc.nat(),
      fc.oneof(fc.json(), fc.string(), names.map(String)),
    )
    .map(([key, at, value]): Tampering => (blocks) => {
      const manifest = manifestOf(contents);
      const files = manifest.files.map((file, each) =>
        each === at % manifest.files.length
          ? { ...file, [key]: key === 'size' ? Number(value) : value }
          : file,
      );
      return [
        rawMember({ name: 'lpm.json', data: JSON.stringify({ ...manifest, files }) }),
        ...blocks.slice(1),
      ];
    }),
  fc
    .tuple(fc.constantFrom(...Object.keys(manifestOf(contents))), fc.oneof(fc.jsonValue(), names.map(String)))
    .map(([key, value]): Tampering => (blocks) => [
      rawMember({ name: 'lpm.json', data: JSON.stringify({ ...manifestOf(contents), [key]: value }) }),
      ...blocks.slice(1),
    ]),
  // It lists what leads out, and holds it with the right hash.
  fc.tuple(names, data).map(([name, bytes]): Tampering => (blocks) => {
    const path = String(name);
    const listed = manifestOf({ ...contents, [path]: bytes });
    return [
      rawMember({ name: 'lpm.json', data: JSON.stringify(listed) }),
      ...blocks.slice(1),
      rawMember({ name: path, data: bytes }),
    ];
  }),
);

const cut = fc.oneof(
  { weight: 8, arbitrary: fc.constant((bytes: Buffer) => bytes) },
  // Within headers, on their edges, within contents and within the end.
  fc.nat().map((at) => (bytes: Buffer) => bytes.subarray(0, at % (bytes.length + 1))),
  fc
    .nat()
    .map((at) => (bytes: Buffer) => bytes.subarray(0, 512 * (at % (Math.floor(bytes.length / 512) + 1)))),
  fc.constant((bytes: Buffer) => Buffer.concat([bytes, bytes])),
  fc.constant((bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(3 * MEBIBYTE)])),
  fc.uint8Array({ maxLength: 2000 }).map((more) => (bytes: Buffer) => Buffer.concat([bytes, more])),
);

const zeros = gzipSync(Buffer.alloc(MEBIBYTE));
const zstd = (bytes: Buffer): Buffer =>
  spawnSync('zstd', ['-q', '-c'], { input: bytes, maxBuffer: 1 << 28 }).stdout;
const wrappings = fc.oneof(
  { weight: 30, arbitrary: fc.constant((bytes: Buffer) => bytes) },
  { weight: 6, arbitrary: fc.constant((bytes: Buffer) => gzipSync(bytes, { level: 1 })) },
  { weight: 1, arbitrary: fc.constant(zstd) },
  { weight: 1, arbitrary: fc.constant((bytes: Buffer) => gzipSync(gzipSync(bytes))) },
  // A bomb: two hundred megabytes of zeros in as many kilobytes.
  {
    weight: 1,
    arbitrary: fc.constant((bytes: Buffer) =>
      Buffer.concat([gzipSync(bytes), ...Array.from({ length: 200 }, () => zeros)]),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant((bytes: Buffer) => Buffer.concat([Buffer.from('age-encryption.org/v1\n'), bytes])),
  },
  {
    weight: 1,
    arbitrary: fc.constant((bytes: Buffer) => Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0]), bytes])),
  },
);

// ---------------------------------------------------------------------------------------------------------- what must hold

const REASONS = new Set(['ArtifactInvalid', 'NoSpace', 'EncryptionNotSetUp']);

test(`${RUNS} tampered archives: nothing is written beside the folder, and what is wrong is refused with a reason`, async (t) => {
  const before = process.memoryUsage().rss;
  let most = before;
  let accepted = 0;
  const reasons = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(tamperings, { maxLength: 3 }),
      cut,
      wrappings,
      fc.boolean(),
      fc.integer({ min: 1, max: 5000 }),
      async (tampered, end, wrap, knows, chunk) => {
        const blocks = tampered.reduce((all, change) => change(all), [...parts]);
        const bytes = wrap(end(Buffer.concat([...blocks, END_OF_TAR])));
        // Whoever has tampered with it may have been able to change what is announced, too.
        const announced = knows ? bytes : rawTar(...parts);
        const same = announced.equals(bytes);
        let failure: unknown;
        rmSync(target, { recursive: true, force: true });
        try {
          const { files, manifest } = await unpackArchive(
            chunksOf(bytes, chunk < 50 ? chunk * 100 : chunk),
            target,
            {
              uri: 'shared://a.tar',
              sha256: createHash('sha256').update(announced).digest(),
              bytes: announced.length,
              container: 'counter',
            },
            { bytes: 64 * MEBIBYTE },
            decrypt,
          );
          accepted++;
          assert.ok(same, 'only what was announced is accepted');
          // What lies there is what lpm.json lists, and nothing more.
          const listed = manifest.files.map(({ path }) => path);
          const found = below(target).filter((path) => path !== 'checkpoint' && path !== 'volumes');
          assert.deepEqual(found.sort(), listed.sort());
          for (const { path, size, sha256 } of files) {
            assert.ok(lstatSync(join(target, path)).isFile());
            const file = readFileSync(join(target, path));
            assert.equal(file.length, size);
            assert.equal(createHash('sha256').update(file).digest('hex'), sha256);
          }
        } catch (error) {
          failure = error;
        }
        assert.equal(photograph(), untouched);
        most = Math.max(most, process.memoryUsage().rss);
        if (failure === undefined) return;
        if (!(failure instanceof LpmError)) throw failure as Error;
        assert.ok(REASONS.has(failure.reason), `${failure.reason}: ${failure.message}`);
        assert.match(failure.message, /^The archive shared:\/\/a\.tar (?:is|has) .+\.$/s);
        const kind = failure.message.replace(/"[^]*"|\d+|[0-9a-f]{64}/g, '*').slice(0, 60);
        reasons.set(kind, (reasons.get(kind) ?? 0) + 1);
        // Who only describes it meets the same.
        await describeArchive(chunksOf(bytes, 4096), decrypt).catch((error: unknown) =>
          assert.ok(error instanceof LpmError),
        );
      },
    ),
    { numRuns: RUNS },
  );
  t.diagnostic(`${accepted} were harmless, ${RUNS - accepted} refused for ${reasons.size} kinds of reasons`);
  t.diagnostic(`memory grew by ${Math.round((most - before) / MEBIBYTE)} MiB at most`);
  assert.ok(most - before < 400 * MEBIBYTE);
});

/** Members of nested archives: few names, so that they meet. */
const nestedNames = fc
  .array(fc.constantFrom('a', 'b', 'link', '..', '.', '', 'etc'), { minLength: 1, maxLength: 3 })
  .chain((path) =>
    fc.constantFrom(`./${path.join('/')}`, path.join('/'), `${path.join('/')}/`, `/${path.join('/')}`),
  );
const nestedMember = fc
  .record({
    name: nestedNames,
    type: fc.constantFrom('0', '0', '0', '1', '2', '2', '5', '5', '5', '6', '3', '\0', 'L', 'S'),
    linkName: fc.oneof(nestedNames, fc.constantFrom(world, '..', '../..', '../passwd', join(world, 'x'))),
    data,
    mode: fc.constantFrom(0o644, 0o4755, 0o777),
    uid: fc.constantFrom(0, 1000),
    size: fc.constantFrom(undefined, undefined, undefined, 0, 512),
  })
  .map(({ size, ...member }) => {
    const contents = member.type === '0' || member.type === '\0' ? member.data : Buffer.alloc(0);
    return rawMember({ ...member, data: contents, ...(size === undefined ? {} : { size }) });
  });
const sparseHeader = fc
  .tuple(
    fc.constantFrom(
      '1\n0\n512\n',
      '0\n',
      '2\n0\n512\n1024\n512\n',
      '1\n0\n1536\n',
      '3\n0\n1\n1\n1\n2\n1\n',
      'x',
    ),
    fc.integer({ min: 0, max: 2 }),
    fc.constantFrom('512', '1536', '4096', '0'),
  )
  .map(([map, blocks, realSize]) =>
    Buffer.concat([
      paxHeader([
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.name', './holes'],
        ['GNU.sparse.realsize', realSize],
      ]),
      rawMember({
        name: 'GNUSparseFile.0/holes',
        data: Buffer.concat([Buffer.from(map.padEnd(512, '\0')), Buffer.alloc(512 * blocks, 'd')]),
      }),
    ]),
  );
const nestedPax = fc
  .array(
    fc.tuple(
      fc.constantFrom('path', 'linkpath', 'size', 'mtime'),
      fc.oneof(nestedNames, fc.constantFrom('0', '512', '1')),
    ),
    { minLength: 1, maxLength: 2 },
  )
  .map(paxHeader);
const nested = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: nestedMember },
    { weight: 1, arbitrary: nestedPax },
    { weight: 1, arbitrary: sparseHeader },
  ),
  { maxLength: 6 },
);

test(`${RUNS} nested archives: GNU tar makes of those that pass exactly what the check has seen`, async (t) => {
  const host = new Host();
  const archive = join(around, 'nested.tar');
  writeFileSync(archive, '');
  const withArchive = (): string =>
    photograph()
      .split('\n')
      .filter((line) => !line.startsWith(archive))
      .join('\n');
  const before = withArchive();
  let passed = 0;
  let refusedByTar = 0;
  await fc.assert(
    fc.asyncProperty(nested, async (blocks) => {
      writeFileSync(archive, rawTar({ name: './', type: '5' }, ...blocks));
      const seen: string[] = [];
      try {
        await checkTar(archive);
        for await (const { name } of scanTar(archive)) seen.push(name);
      } catch (error) {
        assert.ok(error instanceof LpmError, String(error));
        assert.equal(error.reason, 'ArtifactInvalid');
        return;
      }
      passed++;
      rmSync(target, { recursive: true, force: true });
      mkdirSync(target);
      let failure: unknown;
      try {
        await extractTar(host, archive, target);
      } catch (error) {
        failure = error;
      }
      assert.equal(withArchive(), before);
      if (failure) {
        // GNU tar may refuse more; it says why.
        assert.ok(failure instanceof LpmError && failure.reason === 'StageFailed', String(failure));
        refusedByTar++;
        return;
      }
      assert.deepEqual(below(target).sort(), seen.filter(Boolean).sort());
    }),
    { numRuns: RUNS },
  );
  t.diagnostic(`${passed} passed the check, of which GNU tar itself refused ${refusedByTar}`);
  rmSync(archive);
});
