import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, linkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pack, type Header } from 'tar-stream';
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
    'a pax name that leads out',
    [folder('./'), { ...file('a'), pax: { path: '../../x' } }],
    /not a plain path/,
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
