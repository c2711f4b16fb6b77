import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, linkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pack, type Header } from 'tar-stream';
import { padded, paxHeader, rawMember, rawTar } from '../test/support/raw-tar.js';
import { Host } from './host.js';
import { checkDeletions, checkTar } from './tar-check.js';
import { createTar } from './tar.js';

type Member = Partial<Header> & { name: string } & { data?: string };
const folder = (name: string): Member => ({ name, type: 'directory' });
const file = (name: string, data = 'x'): Member => ({ name, type: 'file', data });
const link = (name: string, linkname: string): Member => ({ name, type: 'symlink', linkname });

const scratch = mkdtempSync(join(tmpdir(), 'lpm-tar-'));
after(() => rmSync(scratch, { recursive: true }));

async function archive(members: Member[]): Promise<string> {
  const stream = pack();
  for (const { data, ...header } of members) stream.entry(header, data ?? '');
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  const path = join(mkdtempSync(join(scratch, 'archive-')), 'a.tar');
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}

const hostile: [name: string, members: Member[], says: RegExp][] = [
  ['a name that leads out', [folder('./'), file('../x')], /not a plain path/],
  ['a name that leads out further down', [folder('./'), folder('a/'), file('a/../../x')], /not a plain path/],
  ['an absolute name', [folder('./'), file('/etc/passwd')], /absolute name/],
  [
    'a file below a symbolic link',
    [folder('./'), link('a', '/etc'), file('a/passwd')],
    /without the folder it is in/,
  ],
  ['a file whose folder is not in the archive', [folder('./'), file('a/b')], /without the folder it is in/],
  [
    'a folder that comes after its file',
    [folder('./'), file('a/b'), folder('a/')],
    /without the folder it is in/,
  ],
  [
    'a symbolic link that becomes a folder',
    [folder('./'), link('a', '/etc'), folder('a/'), file('a/b')],
    /twice/,
  ],
  [
    'a folder that becomes a symbolic link',
    [folder('./'), folder('a/'), link('a', '/etc'), file('a/b')],
    /twice/,
  ],
  ['a hard link out', [folder('./'), { name: 'a', type: 'link', linkname: '/etc/shadow' }], /hard link/],
  [
    'a hard link to what is not before it',
    [folder('./'), { name: 'a', type: 'link', linkname: './b' }, file('b')],
    /hard link/,
  ],
  [
    'a hard link to a symbolic link',
    [folder('./'), link('b', '/etc/shadow'), { name: 'a', type: 'link', linkname: './b' }],
    /hard link/,
  ],
  [
    'a device node',
    [folder('./'), { name: 'sda', type: 'block-device', devmajor: 8, devminor: 0 }],
    /device node/,
  ],
  [
    'a name of a sparse file that leads out',
    [folder('./'), { ...file('a'), pax: { 'GNU.sparse.name': '../x', 'GNU.sparse.major': '1' } }],
    /not a plain path/,
  ],
  [
    'an extended header that nobody knows',
    [folder('./'), { ...file('a'), pax: { 'LPM.x': '1' } }],
    /unknown extended header/,
  ],
  ['a root that is no folder', [link('.', '/etc')], /begins with something/],
];
for (const [name, members, says] of hostile) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(checkTar(await archive(members)), says);
  });
}

const root = { name: './', type: '5' };
const member = (name: string): Buffer => rawMember({ name, data: 'x' });
/** A file with holes, whose map and sizes may lie. */
const sparse = (map: string, data: Buffer, realSize: string, size?: number): Buffer =>
  Buffer.concat([
    paxHeader([
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.name', './holes'],
      ['GNU.sparse.realsize', realSize],
    ]),
    rawMember({
      name: 'GNUSparseFile.0/holes',
      data: Buffer.concat([padded(Buffer.from(map)), data]),
      ...(size === undefined ? {} : { size }),
    }),
  ]);
/** Members that would be read where another reader sees contents. */
const hidden = Buffer.concat([rawMember({ name: 'out', type: '2', linkName: '/etc' }), member('out/passwd')]);

const crafted: [name: string, bytes: Buffer, says: RegExp | undefined][] = [
  [
    'a pax name that leads out',
    rawTar(root, paxHeader([['path', '../../x']]), member('a')),
    /not a plain path/,
  ],
  [
    'a file that is named like a folder, whose contents GNU tar reads as members',
    rawTar(root, { name: './a/', data: hidden }),
    /named like a folder/,
  ],
  [
    'the same by an extended header',
    rawTar(root, paxHeader([['path', './a/']]), rawMember({ name: 'a', data: hidden })),
    /named like a folder/,
  ],
  [
    'a folder with contents',
    rawTar(root, { name: './d/', type: '5', data: hidden }),
    /a directory with contents/,
  ],
  ['a time that is none', rawTar(root, paxHeader([['mtime', 'x']]), member('a')), /mtime is no number/],
  ['a symbolic link to nothing', rawTar(root, { name: './l', type: '2' }), /a symbolic link to nothing/],
  [
    'a symbolic link with contents',
    rawTar(root, { name: './l', type: '2', linkName: 'x', data: hidden }),
    /a symlink with contents/,
  ],
  [
    'a hard link whose extended header gives it contents',
    rawTar(
      root,
      member('a'),
      paxHeader([['size', '512']]),
      rawMember({ name: './l', type: '1', linkName: './a' }),
    ),
    /a hardlink with contents/,
  ],
  [
    'a map of holes that takes the next members for data',
    rawTar(root, sparse('1\n0\n1536\n', Buffer.alloc(512), '1536'), { name: './a', data: hidden }),
    /does not fit its size/,
  ],
  [
    'a map of holes with less than there is',
    rawTar(root, sparse('1\n0\n512\n', Buffer.concat([Buffer.alloc(512), hidden]), '512')),
    /does not fit its size/,
  ],
  [
    'a map of holes whose pieces end within blocks',
    rawTar(root, sparse('2\n0\n100\n512\n412\n', Buffer.alloc(512), '1024')),
    /overlap or are cut/,
  ],
  [
    'a map of holes beyond the file',
    rawTar(root, sparse('1\n4096\n512\n', Buffer.alloc(512), '100')),
    /does not fit its size/,
  ],
  [
    'a map of holes that is longer than the file',
    rawTar(root, sparse('9999999\n', Buffer.alloc(0), '1')),
    /map of holes is damaged/,
  ],
  [
    'holes in an older format',
    rawTar(root, paxHeader([['GNU.sparse.major', '0']]), member('a')),
    /not in the format 1.0/,
  ],
  [
    'two extended headers for one member',
    rawTar(root, paxHeader([['path', 'b']]), paxHeader([['mtime', '1']]), member('a')),
    /two extended headers/,
  ],
  [
    'one name twice in an extended header',
    rawTar(
      root,
      paxHeader([
        ['path', 'b'],
        ['path', 'c'],
      ]),
      member('a'),
    ),
    /"path" twice/,
  ],
  ['an end after an extended header', rawTar(root, paxHeader([['path', 'b']])), /ends after an extended/],
  ['a GNU long name', rawTar(root, { name: '././@LongLink', type: 'L', data: '../x' }), /unknown type "L"/],
  ['the format of GNU tar', rawTar({ ...root, magic: 'ustar  \0' }), /not in the POSIX format/],
  ['a size in base 256', rawTar(root, { name: 'a', size: Buffer.alloc(12, 0xff) }), /not octal/],
  [
    'a name that is no UTF-8 and differs from a folder that is none either',
    rawTar(
      root,
      { name: Buffer.from('\xfe', 'latin1'), type: '2', linkName: '/etc' },
      {
        name: Buffer.from('\xff/', 'latin1'),
        type: '5',
      },
      member('x'),
      { name: Buffer.from('\xfe/passwd', 'latin1') },
    ),
    /without the folder/,
  ],
  [
    'names that are no UTF-8 pass',
    rawTar(
      root,
      { name: Buffer.from('\xff/', 'latin1'), type: '5' },
      { name: Buffer.from('\xff/a', 'latin1') },
    ),
    undefined,
  ],
  [
    'a file with holes passes',
    rawTar(root, sparse('2\n0\n512\n4096\n10\n', Buffer.alloc(522), '5000')),
    undefined,
  ],
];
for (const [name, bytes, says] of crafted) {
  test(says ? `refused: ${name}` : name, async () => {
    const path = join(mkdtempSync(join(scratch, 'crafted-')), 'a.tar');
    writeFileSync(path, bytes);
    if (says) await assert.rejects(checkTar(path), says);
    else await checkTar(path);
  });
}

test('refused: an archive that is cut off, and one whose header was changed', async () => {
  const cut = await archive([folder('./'), file('a', 'x'.repeat(2000))]);
  truncateSync(cut, 1500);
  await assert.rejects(checkTar(cut), /cut off/);
  const changed = await archive([folder('./')]);
  const bytes = Buffer.from('y');
  const { openSync, writeSync, closeSync } = await import('node:fs');
  const fd = openSync(changed, 'r+');
  writeSync(fd, bytes, 0, 1, 0);
  closeSync(fd);
  await assert.rejects(checkTar(changed), /checksum/);
});

test('what GNU tar packs passes: long names, links, holes, names with newlines', async () => {
  const dir = mkdtempSync(join(scratch, 'packed-'));
  const from = join(dir, 'from');
  mkdirSync(join(from, 'd'.repeat(120), 'e'.repeat(120)), { recursive: true });
  writeFileSync(join(from, 'd'.repeat(120), 'e'.repeat(120), 'file ü\nx'), 'hello');
  writeFileSync(join(from, 'one'), 'one');
  linkSync(join(from, 'one'), join(from, 'two'));
  symlinkSync('/etc', join(from, 'etc'));
  writeFileSync(join(from, 'holes'), '');
  truncateSync(join(from, 'holes'), 50 * 1024 * 1024);
  spawnSync('mkfifo', [join(from, 'fifo')]);
  await createTar(new Host(), { folder: from, archive: join(dir, 'a.tar') });
  const { directories, members } = await checkTar(join(dir, 'a.tar'));
  assert.deepEqual([...directories], ['', 'd'.repeat(120), `${'d'.repeat(120)}/${'e'.repeat(120)}`]);
  assert.equal(members, 9);
});

const deletions: [name: string, text: string, says: RegExp | undefined][] = [
  ['plain paths in known folders pass', '["a", "d/b", "d"]', undefined],
  ['an absolute path is refused', '["/etc"]', /not a relative path/],
  ['a path that leads out is refused', '["d/../../x"]', /not a plain path/],
  [
    'a path whose folder is not in the archive is refused',
    '["link/passwd"]',
    /whose folder is not in the archive/,
  ],
  ['the root itself is refused', '[""]', /not a relative path/],
  ['anything but a list is refused', '{"a": 1}', /not a list/],
  ['anything but JSON is refused', 'a', /not JSON/],
];
for (const [name, text, says] of deletions) {
  test(`deletions: ${name}`, () => {
    const run = (): unknown => checkDeletions(text, new Set(['', 'd']));
    if (says) assert.throws(run, says);
    else assert.deepEqual(run(), JSON.parse(text));
  });
}
