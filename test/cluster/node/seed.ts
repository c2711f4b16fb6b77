/** The disk of a node's containerd with images in it, made once and handed to new nodes, so that none has to unpack them again. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestImage } from '../images/images.js';
import { once, type Say } from '../node-root.js';
import { cacheDir } from '../paths.js';
import { must } from '../run.js';
import type { NodeHandle } from './handle.js';

/** Raise it when what a node's containerd keeps changes. */
const recipe = 2;
const prefix = 'containerd-';
const seeding = 'seeding-';
const UNUSED_MS = 3600_000;

/**
 * The folder for these images, made by a node of its own when it is not there.
 *
 * @param start starts a node with the images in a folder
 * @param stop ends one in a folder, however far its start has come
 */
export async function containerdSeed(
  root: string,
  images: readonly TestImage[],
  { start, stop }: { start: (dir: string) => Promise<NodeHandle>; stop: (dir: string) => Promise<void> },
  say: Say,
): Promise<string> {
  // An archive is renamed into place when it is made, so its name, size and time tell it from another.
  const files = images.map(({ archive, reference, contents }) => {
    if (contents !== undefined) return [reference, contents];
    const { size, mtimeMs } = statSync(archive);
    return [reference, archive, size, mtimeMs];
  });
  const key = createHash('sha256')
    .update(JSON.stringify([recipe, root, files]))
    .digest('hex')
    .slice(0, 12);
  const seed = join(cacheDir, `${prefix}${key}`);
  await once(seed, say, async () => {
    say('unpacking the images (once)');
    for (const name of readdirSync(cacheDir).filter((one) => one.startsWith(seeding))) {
      // Of one that was killed.
      if (existsSync(`/proc/${name.slice(seeding.length).split('-')[0]}`)) continue;
      await stop(join(cacheDir, name, 'node'));
      rmSync(join(cacheDir, name), { recursive: true, force: true });
    }
    const dir = mkdtempSync(join(cacheDir, `${seeding}${process.pid}-`));
    try {
      const node = await start(join(dir, 'node'));
      try {
        await node.restartService('containerd', { down: true });
        // Nothing has it open any more, and the node ends with it.
        renameSync(join(node.dir, 'var/lib/containerd'), join(dir, 'seed'));
      } finally {
        await node.stop();
      }
      for (const name of readdirSync(cacheDir).filter((one) => one.startsWith(prefix))) {
        // Of other images, and nobody is taking it just now; what was made of it are links of their own.
        const unused = Date.now() - statSync(join(cacheDir, name)).mtimeMs > UNUSED_MS;
        if (unused) rmSync(join(cacheDir, name), { recursive: true, force: true });
      }
      renameSync(join(dir, 'seed'), seed);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
  return seed;
}

/**
 * Gives a new node the folder's contents: files as links where the file system allows it, for containerd writes to none that it has
 * unpacked; its databases as copies.
 */
export async function plantSeed(seed: string, to: string): Promise<void> {
  utimesSync(seed, new Date(), new Date());
  mkdirSync(dirname(to), { recursive: true });
  // Renamed into place only when no database is a link any more: containerd would write to everybody's.
  const script = `set -e; new=$2.new; rm -rf "$new"
    cp -al "$1" "$new" 2>/dev/null || { rm -rf "$new"; cp -a "$1" "$new"; }
    find "$new" -name '*.db' | while read -r file; do cp -a "$file" "$file.own"; mv "$file.own" "$file"; done
    mv "$new" "$2"`;
  await must('sh', ['-c', script, 'sh', seed, to]);
}
