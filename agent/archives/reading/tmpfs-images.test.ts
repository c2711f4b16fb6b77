import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { rawHeader, rawTar, type RawMember } from '../../../test/support/raw-tar.js';
import { tmpfsProblem } from './tmpfs-images.js';

const scratch = mkdtempSync(join(tmpdir(), 'lpm-tmpfs-'));
after(() => rmSync(scratch, { recursive: true }));

const GNU = 'ustar  \0';
const root: RawMember = { name: './', type: '5', magic: GNU };
function device(name: string, type: '3' | '4', major: number, minor: number): Buffer {
  const header = rawHeader({ name, type, magic: GNU });
  header.write(`${major.toString(8).padStart(7, '0')}\0`, 329, 'latin1');
  header.write(`${minor.toString(8).padStart(7, '0')}\0`, 337, 'latin1');
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

const cases: [name: string, tar: Buffer, says: RegExp | undefined][] = [
  [
    'what every container has passes',
    rawTar(
      root,
      { name: './stdin', type: '2', linkName: '/proc/self/fd/0', magic: GNU },
      device('./null', '3', 1, 3),
      { name: './shm/', type: '5', magic: GNU },
      { name: './shm/file', data: 'x', magic: GNU },
    ),
    undefined,
  ],
  ['a device of the pod passes', rawTar(root, device('./fuse', '3', 10, 229)), undefined],
  ['a disk', rawTar(root, device('./sda', '4', 8, 0)), /the device "sda" \(b 8:0\)/],
  ['memory of the machine', rawTar(root, device('./mem', '3', 1, 1)), /the device "mem" \(c 1:1\)/],
  ['a name that leads out', rawTar(root, { name: './../x', data: 'x' }), /called/],
  ['an absolute name', rawTar(root, { name: '/etc/x', data: 'x' }), /called/],
  [
    'a file behind a link',
    rawTar(root, { name: './a', type: '2', linkName: '/etc' }, { name: './a/x', data: 'x' }),
    /without its folder/,
  ],
  [
    'a hard link out',
    rawTar(root, { name: './a', type: '1', linkName: '/etc/shadow' }),
    /link to what is no file/,
  ],
  ['a file that is named like a folder', rawTar(root, { name: './a/', data: 'x' }), /not what its name says/],
  ['a long name', rawTar(root, { name: '././@LongLink', type: 'L', data: '../x' }), /type "L"/],
  ['a name twice', rawTar(root, { name: './a' }, { name: './a' }), /twice/],
  ['what is cut off', rawTar(root).subarray(0, 512), /ends in the middle/],
  ['a wrong checksum', rawTar({ ...root, checksumOff: 1 }), /damaged/],
];
for (const [name, tar, says] of cases) {
  test(says ? `refused: ${name}` : name, async () => {
    const path = join(scratch, 'tmpfs.img');
    writeFileSync(path, gzipSync(tar));
    const spec = { linux: { devices: [{ type: 'c', major: 10, minor: 229 }] } };
    const problem = await tmpfsProblem(path, spec);
    if (says) assert.match(problem ?? 'nothing', says);
    else assert.equal(problem, undefined);
  });
}

test('refused: what is not compressed', async () => {
  const path = join(scratch, 'plain.img');
  writeFileSync(path, rawTar(root));
  assert.match((await tmpfsProblem(path, {})) ?? '', /damaged/);
});
