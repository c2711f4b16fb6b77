import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CoreEntry,
  FdinfoEntry,
  FileEntry,
  KernelObjects,
  MntEntry,
  PagemapEntry,
  PagemapHead,
  PstreeEntry,
  UtsnsEntry,
} from '../../../proto/gen/lpm/criu/v1/images.js';
import { ArchiveDescription } from '../../../proto/gen/lpm/v1/agent.js';
import { criuImage } from '../../../test/support/criu-images.js';
import { archiveParts, chunksOf, type Contents } from '../../../test/support/raw-archive.js';
import { paxHeader, rawTar } from '../../../test/support/raw-tar.js';
import { decryptWith } from '../reading/decrypt.js';
import { describeArchive, describeFolder } from './describe.js';

/** None of these archives is encrypted. */
const decrypt = decryptWith({ identitiesFile: undefined });

const of = <T>(
  type: { fromPartial(value: never): T; encode(value: T): { finish(): Uint8Array } },
  value: object,
) => type.encode(type.fromPartial(value as never));

/** A shell with a child of two threads that listens, and holds a file and both ends of a pipe. */
const images: Contents = {
  'checkpoint/pstree.img': criuImage(
    'pstree',
    of(PstreeEntry, { pid: 1, threads: [1] }),
    of(PstreeEntry, { pid: 7, ppid: 1, threads: [7, 8] }),
  ),
  'checkpoint/core-1.img': criuImage(
    'core',
    of(CoreEntry, { tc: { comm: 'sh\u001b[2J' }, ids: { filesId: 1 } }),
  ),
  'checkpoint/core-7.img': criuImage('core', of(CoreEntry, { tc: { comm: 'server' } })),
  'checkpoint/ids-7.img': criuImage('ids', of(KernelObjects, { filesId: 2 })),
  'checkpoint/fdinfo-1.img': criuImage('fdinfo', of(FdinfoEntry, { id: 1, type: 1, fd: 0 })),
  'checkpoint/fdinfo-2.img': criuImage(
    'fdinfo',
    of(FdinfoEntry, { id: 2, type: 4, fd: 3 }),
    of(FdinfoEntry, { id: 3, type: 4, fd: 4 }),
    of(FdinfoEntry, { id: 4, type: 1, fd: 5 }),
    of(FdinfoEntry, { id: 5, type: 2, fd: 6 }),
    of(FdinfoEntry, { id: 6, type: 5, fd: 7 }),
    of(FdinfoEntry, { id: 7, type: 17, fd: 8 }),
  ),
  'checkpoint/files.img': criuImage(
    'files',
    of(FileEntry, { id: 1, type: 1, reg: { name: '/dev/null', mode: 0o020666 } }),
    of(FileEntry, {
      id: 2,
      type: 4,
      isk: { family: 2, type: 1, proto: 6, state: 10, srcPort: 8080, srcAddr: [0x0100007f] },
    }),
    of(FileEntry, {
      id: 3,
      type: 4,
      isk: {
        family: 10,
        type: 2,
        proto: 17,
        srcPort: 53,
        dstPort: 5353,
        srcAddr: [0, 0, 0, 0x01000000],
        dstAddr: [0xb80d0120, 0, 0, 0x02000000],
      },
    }),
    of(FileEntry, { id: 4, type: 1, reg: { name: '/data/counter.log', mode: 0o100644 } }),
    of(FileEntry, { id: 5, type: 2, pipe: { pipeId: 77 } }),
    of(FileEntry, { id: 6, type: 5, usk: { name: Buffer.from('\0abstract') } }),
    of(FileEntry, { id: 7, type: 17 }),
  ),
  'checkpoint/pagemap-1.img': criuImage(
    'pagemap',
    of(PagemapHead, { pagesId: 1 }),
    of(PagemapEntry, { vaddr: 4096n, compatNrPages: 2, flags: 4 }),
    of(PagemapEntry, { vaddr: 65536n, compatNrPages: 1, nrPages: 3n, flags: 4 }),
    of(PagemapEntry, { vaddr: 1_048_576n, compatNrPages: 100, flags: 2 }),
  ),
  'checkpoint/pages-1.img': Buffer.alloc(5 * 4096),
  'checkpoint/mountpoints-3.img': criuImage(
    'mountpoints',
    of(MntEntry, { fstype: 1, mountpoint: '/proc', source: 'proc' }),
    of(MntEntry, { fstype: 0, mountpoint: '/data', source: '/dev/vda', extKey: '/data' }),
    of(MntEntry, { fstype: 17, mountpoint: '/', source: 'overlay' }),
  ),
  'checkpoint/utsns-4.img': criuImage('utsns', of(UtsnsEntry, { nodename: 'counter' })),
  'config.dump': Buffer.from(
    JSON.stringify({ rootfsImageName: 'busybox:1.35', rootfsImageRef: 'sha256:abc', runtime: 'runc' }),
  ),
  'spec.dump': Buffer.from(
    JSON.stringify({ mounts: [{ destination: '/data', type: 'bind', source: '/var/lib/data' }, null] }),
  ),
  'dump.log': Buffer.from('(00.000000) Version: 4.2.1 (gitid 0)\n(00.000010) Running on node-a\n'),
  'rootfs-diff.tar': Buffer.alloc(2048),
  'volumes/data.tar': Buffer.alloc(1024),
  'dev-shm.tar': Buffer.alloc(512),
};

const expected = {
  processes: [
    {
      pid: 1,
      parentPid: 0,
      command: 'sh\ufffd[2J',
      memoryBytes: 20_480n,
      threads: 1,
      files: [{ fd: 0, kind: 'device', name: '/dev/null' }],
    },
    {
      pid: 7,
      parentPid: 1,
      command: 'server',
      memoryBytes: 0n,
      threads: 2,
      files: [
        { fd: 3, kind: 'socket', name: 'tcp 127.0.0.1:8080 (listening)' },
        { fd: 4, kind: 'socket', name: 'udp [::1]:53 → [2001:db8::2]:5353' },
        { fd: 5, kind: 'regular', name: '/data/counter.log' },
        { fd: 6, kind: 'pipe', name: 'pipe:[77]' },
        { fd: 7, kind: 'socket', name: 'unix @abstract' },
        { fd: 8, kind: 'other', name: 'timerfd' },
      ],
    },
  ],
  mounts: [
    { destination: '/', type: 'overlay', source: 'overlay' },
    { destination: '/data', type: 'bind', source: '/var/lib/data' },
    { destination: '/proc', type: 'proc', source: 'proc' },
  ],
  image: 'busybox:1.35',
  imageRef: 'sha256:abc',
  runtime: 'runc',
  criuVersion: '4.2.1',
  hostname: 'counter',
  memoryBytes: 20_480n,
  layerBytes: 2048n,
  volumeBytes: 1536n,
  truncated: false,
};

test('an archive tells its processes, files, memory, mounts and where it is from', async () => {
  const archive = rawTar(...archiveParts(images));
  assert.deepEqual(await describeArchive(chunksOf(archive, 700), decrypt), expected);
});

test('so does a folder of artifacts', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lpm-describe-'));
  try {
    for (const [path, data] of Object.entries(images)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), data);
    }
    assert.deepEqual(await describeFolder(folder), expected);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("so does an archive of the kubelet's runtimes, which has folders, times and attributes, and no lpm.json", async () => {
  const [, ...parts] = archiveParts(images);
  const archive = rawTar(
    { name: 'checkpoint/', type: '5' },
    paxHeader([
      ['mtime', '1767225600.5'],
      ['SCHILY.xattr.security.selinux', 'x'],
    ]),
    ...parts,
    { name: 'status.dump', data: '{}' },
    { name: 'link', type: '2', linkName: '/etc/passwd' },
  );
  assert.deepEqual(await describeArchive(chunksOf(archive, 70_000), decrypt), expected);
});

test('a checkpoint of very much is described in part, and says so', async () => {
  const many = Array.from({ length: 3000 }, (_, at) => at + 1);
  const described = await describeArchive(
    chunksOf(
      rawTar(
        ...archiveParts({
          ...images,
          'checkpoint/pstree.img': criuImage('pstree', ...many.map((pid) => of(PstreeEntry, { pid }))),
          'checkpoint/fdinfo-1.img': criuImage(
            'fdinfo',
            ...many.map((fd) => of(FdinfoEntry, { id: 1, type: 1, fd })),
          ),
        }),
      ),
      70_000,
    ),
    decrypt,
  );
  assert.ok(described.truncated);
  assert.equal(described.processes.length, 400);
  assert.equal(described.processes[0]?.files.length, 64);
  assert.ok(ArchiveDescription.encode(described).finish().length < 200_000);
});

test('whatever stands in the images, they are described or left out', async () => {
  const names = Object.keys(images);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...names),
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => () => Buffer.from(bytes)),
        fc.tuple(fc.nat(), fc.nat(255)).map(([at, value]) => (data: Buffer) => {
          const changed = Buffer.from(data);
          if (changed.length > 0) changed[at % changed.length] = value;
          return changed;
        }),
        fc.nat().map((length) => (data: Buffer) => data.subarray(0, length % (data.length + 1))),
        fc.json().map((text) => () => Buffer.from(text)),
      ),
      async (name, change) => {
        const changed = { ...images, [name]: change(images[name]!) };
        const described = await describeArchive(chunksOf(rawTar(...archiveParts(changed)), 70_000), decrypt);
        assert.ok(ArchiveDescription.encode(described).finish().length < 1_000_000);
        assert.doesNotMatch(
          JSON.stringify(ArchiveDescription.toJSON(described)),
          /[\u0000-\u001f\u007f-\u009f]/,
        );
      },
    ),
    { numRuns: 300 },
  );
});
