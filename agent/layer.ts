import { lstat, readdir, stat, writeFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LpmError } from '../common/errors.js';
import type { Host } from './host.js';
import { scanTar } from './tar-scan.js';
import { createTar } from './tar.js';

/** The folders of an overlay mount: what the container has written, and what lies below it, uppermost first. */
export interface Overlay {
  upper: string;
  lowers: string[];
}

/**
 * Finds the writable layer of a container from its own mount table (proc_pid_mountinfo(5)): the mount at "/".
 *
 * @throws RuntimeNotSupported when the root is no overlay (another snapshotter)
 */
export function overlayOf(mountinfo: string): Overlay {
  // With several at "/", the last one covers the others.
  const line = mountinfo
    .split('\n')
    .filter((each) => each.split(' ')[4] === '/')
    .at(-1);
  const [, tail = ''] = line?.split(' - ') ?? [];
  const [type = '', , options = ''] = tail.split(' ');
  if (type !== 'overlay') {
    throw new LpmError(
      'RuntimeNotSupported',
      `The container's root file system is of type "${type}", not overlay.`,
      { hint: 'Use the overlayfs snapshotter (containerd) or the overlay driver (CRI-O).' },
    );
  }
  const lowers: string[] = [];
  let upper = '';
  for (const option of unescape(options).split(/(?<!\\),/)) {
    const [key = '', value = ''] = [
      option.slice(0, option.indexOf('=')),
      option.slice(option.indexOf('=') + 1),
    ];
    if (key === 'upperdir') upper = value;
    else if (key === 'lowerdir')
      lowers.push(...value.split(/(?<!\\):/).map((each) => each.replaceAll('\\:', ':')));
    else if (key === 'lowerdir+') lowers.push(value);
  }
  if (!upper)
    throw new LpmError('RuntimeNotSupported', "The container's root file system has no writable layer.");
  return { upper, lowers };
}

/** mountinfo writes space, tab, newline and backslash in octal. */
function unescape(text: string): string {
  return text.replace(/\\(040|011|012|134)/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** containerd mounts long lists of layers by paths relative to its snapshots' folder. */
function absolute(host: Host, path: string): string {
  if (path.startsWith('/')) return host.path(path);
  for (const base of [
    '/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots',
    '/var/lib/containers/storage/overlay',
  ]) {
    if (existsSync(host.path(join(base, path)))) return host.path(join(base, path));
  }
  throw new LpmError(
    'RuntimeNotSupported',
    `The layer "${path}" of the container's root is nowhere to be found.`,
  );
}

export function overlayOfProcess(host: Host, pid: number): Overlay {
  const { upper, lowers } = overlayOf(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'));
  return { upper: absolute(host, upper), lowers: lowers.map((each) => absolute(host, each)) };
}

/** What the walk over a writable layer finds. Paths are relative to it. */
export interface LayerChanges {
  /** Folders and files, folders before what is in them. */
  written: string[];
  /** What hides something of the layers below: whiteouts, and what is no folder where below there is one. */
  deleted: string[];
}

/**
 * CRIU makes these for a moment in the container's own root while it dumps, to look below its mounts (criu/mount.c), and the layer
 * is read at the same time.
 */
const CRIU_MOUNT_POINT = /^(tmp\/)?cr-tmpfs\.[A-Za-z0-9]{6}$/;
/** The folders in which it makes them. */
const TOUCHED_BY_CRIU = ['.', './tmp'];

/** @throws CollectFailed for device nodes, which cannot be carried over */
export async function walkLayer(overlay: Overlay): Promise<LayerChanges> {
  const written: string[] = [];
  const deleted: string[] = [];
  const visit = async (relative: string): Promise<void> => {
    const entries = await readdir(join(overlay.upper, relative), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = relative ? `${relative}/${entry.name}` : entry.name;
      if (CRIU_MOUNT_POINT.test(path)) continue;
      if (entry.isDirectory()) {
        written.push(path);
        await visit(path);
      } else if (entry.isCharacterDevice() && (await stat(join(overlay.upper, path))).rdev === 0) {
        // A character device 0/0 is a whiteout (Documentation/filesystems/overlayfs.rst).
        deleted.push(path);
      } else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
        throw new LpmError(
          'CollectFailed',
          `The container has made the device node /${path} in its file system.`,
          {
            hint: 'Device nodes cannot be carried to another node.',
          },
        );
      } else {
        written.push(path);
        if (await hidesFolder(overlay, path)) deleted.push(path);
      }
    }
  };
  await visit('');
  return { written, deleted };
}

async function hidesFolder(overlay: Overlay, path: string): Promise<boolean> {
  for (const lower of overlay.lowers) {
    const below = await lstat(join(lower, path)).catch(() => undefined);
    if (below) return below.isDirectory();
  }
  return false;
}

/**
 * Writes the container's changes to its image: `rootfs-diff.tar` and `deleted.files` in `outDir`, as podman and CRI-O name
 * them. Nothing may run in the container meanwhile.
 */
export async function collectLayer(host: Host, overlay: Overlay, outDir: string): Promise<void> {
  const { written, deleted } = await walkLayer(overlay);
  const archive = join(outDir, 'rootfs-diff.tar');
  await createTar(host, { folder: overlay.upper, archive, members: written, changing: TOUCHED_BY_CRIU });
  // Attributes of overlayfs itself stand in the archive; the handler does not unpack them.
  for await (const member of scanTar(archive)) {
    for (const name of member.xattrs.keys()) {
      if (name === 'trusted.overlay.opaque' && member.xattrs.get(name) === 'y' && member.name)
        deleted.push(member.name);
      if (name === 'trusted.overlay.redirect' || name === 'trusted.overlay.metacopy') {
        throw new LpmError(
          'CollectFailed',
          `/${member.name} is stored by overlayfs as a reference (${name}).`,
          {
            hint: 'Mount layers without redirect_dir and metacopy.',
          },
        );
      }
    }
  }
  // A folder goes before what is in it, and is gone then with all of it.
  deleted.sort();
  await writeFile(join(outDir, 'deleted.files'), JSON.stringify(deleted), { mode: 0o600 });
}
