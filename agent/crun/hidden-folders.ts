import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { MntEntry } from '../../proto/gen/lpm/criu/v1/images.js';
import { imageEntries } from '../archives/criu-images/image-file.js';

/** CRIU's number for tmpfs (criu/images/mnt.proto). */
const TMPFS = 5;
/** mount(2): MS_RDONLY */
const READ_ONLY = 1;
/** A device's number is (major << 20) + minor; file systems without a device have the major 0. */
const LAST_MINOR = (1 << 20) - 1;

/**
 * Makes a dump say that folders are hidden by an empty tmpfs each. crun hides them by an empty folder of the node's, which no other
 * runtime would provide; runc makes a tmpfs, which CRIU brings back by itself. So what arrives is a container as runc makes them.
 *
 * @param images folder of a dump in which those mounts are external
 */
export async function hideByTmpfs(images: string, folders: readonly string[]): Promise<void> {
  if (folders.length === 0) return;
  const contents = gzipSync(await emptyFolder());
  for (const name of readdirSync(images).filter((each) => /^mountpoints-.*\.img$/.test(each))) {
    const path = join(images, name);
    const { image, devices } = withTmpfs(readFileSync(path), folders);
    for (const device of devices) {
      writeFileSync(join(images, `tmpfs-dev-${device}.tar.gz.img`), contents, { mode: 0o600 });
    }
    writeFileSync(path, image);
  }
}

/** The image of a mount table, changed, and the numbers of the file systems that it has got. */
export function withTmpfs(image: Buffer, folders: readonly string[]): { image: Buffer; devices: number[] } {
  const entries = [...imageEntries(image, 'mountpoints')];
  const used = new Set(entries.map((entry) => MntEntry.decode(entry).rootDev));
  const devices: number[] = [];
  let minor = LAST_MINOR;
  const changed = entries.map((entry) => {
    const mount = MntEntry.decode(entry);
    if (!folders.includes(mount.mountpoint)) return entry;
    while (used.has(minor)) minor--;
    used.add(minor);
    devices.push(minor);
    const { mntId, parentMntId, flags, mountpoint } = mount;
    // Every field that CRIU requires must have a value that is written.
    const tmpfs = { fstype: TMPFS, rootDev: minor, root: '/', source: 'tmpfs', options: 'size=4k,mode=755' };
    return Buffer.from(
      MntEntry.encode(
        MntEntry.fromPartial({ mntId, parentMntId, flags: flags | READ_ONLY, mountpoint, ...tmpfs }),
      ).finish(),
    );
  });
  const head = image.subarray(0, image.length - entries.reduce((sum, { length }) => sum + 4 + length, 0));
  const parts = changed.flatMap((entry) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(entry.length);
    return [size, entry];
  });
  return { image: Buffer.concat([head, ...parts]), devices };
}

/** What CRIU has tar write of an empty file system. */
async function emptyFolder(): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: './', type: 'directory', mode: 0o755, mtime: new Date(0) });
  archive.finalize();
  return buffer(archive);
}
