import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MntEntry } from '../../proto/gen/lpm/criu/v1/images.js';
import { decoded, MAGIC } from '../archives/criu-images/image-file.js';
import { tmpfsProblem } from '../archives/reading/tmpfs-images.js';
import { hideByTmpfs } from './hidden-folders.js';

const LAST = 1048575;
const mount = (mntId: number, mountpoint: string, more: Partial<MntEntry> = {}): MntEntry =>
  MntEntry.fromPartial({
    fstype: 5,
    mntId,
    rootDev: 30,
    parentMntId: 1,
    flags: 0x200000,
    root: '/crun/.empty-directory',
    mountpoint,
    source: 'tmpfs',
    options: 'mode=755',
    extKey: mountpoint,
    ...more,
  });

/** An image as CRIU writes it. */
function imageOf(entries: readonly MntEntry[]): Buffer {
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const messages = entries.map((entry) => MntEntry.encode(entry).finish());
  return Buffer.concat([
    word(0x54564319),
    word(MAGIC.mountpoints),
    ...messages.flatMap((message) => [word(message.length), message]),
  ]);
}

test('folders that crun hides by one of the node’s are hidden by a tmpfs each in what arrives', async () => {
  const images = mkdtempSync(join(tmpdir(), 'lpm-hidden-'));
  try {
    const file = join(images, 'mountpoints-12.img');
    const others = [mount(2, '/data', { root: '/data' }), mount(3, '/dev', { rootDev: LAST, extKey: '' })];
    writeFileSync(file, imageOf([others[0]!, mount(7, '/proc/acpi'), others[1]!, mount(8, '/proc/scsi')]));
    await hideByTmpfs(images, ['/proc/acpi', '/proc/scsi']);

    const found = [...decoded(readFileSync(file), 'mountpoints', MntEntry)];
    assert.deepEqual([found[0], found[2]], others, 'the others are as they were');
    const [acpi, scsi] = [found[1]!, found[3]!];
    assert.deepEqual(
      [acpi.mntId, acpi.parentMntId, acpi.mountpoint, acpi.fstype, acpi.root, acpi.extKey],
      [7, 1, '/proc/acpi', 5, '/', ''],
    );
    assert.equal(acpi.flags, 0x200001, 'nothing can be written there');
    assert.ok(acpi.source && acpi.options, 'CRIU requires a value of each');
    assert.equal(new Set([30, LAST, acpi.rootDev, scsi.rootDev]).size, 4, 'each is a file system of its own');
    for (const { rootDev } of [acpi, scsi]) {
      assert.equal(await tmpfsProblem(join(images, `tmpfs-dev-${rootDev}.tar.gz.img`), {}), undefined);
    }
    assert.equal(readdirSync(images).length, 3);
  } finally {
    rmSync(images, { recursive: true, force: true });
  }
});
