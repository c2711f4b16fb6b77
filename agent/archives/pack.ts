import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { pack as tarPack, type Pack } from 'tar-stream';
import { LpmError } from '../../common/errors.js';
import { listFiles, type ArtifactFile } from '../artifacts.js';
import { MANIFEST_FILE, type ArchivedFile, type ArchiveManifest } from './manifest.js';
import { contentsOf, digestOf, openPlainFile } from './node-files.js';

/** What lpm.json says beside the list of files. */
export type Describing = Omit<ArchiveManifest, 'version' | 'files'>;

const BLOCK = 512;

/**
 * What public tools look for stands first, so that they need not read through gigabytes of memory for it; then the images,
 * and what is large last.
 */
const ORDER = ['config.dump', 'spec.dump', 'stats-dump', 'dump.log', 'deleted.files', 'container.log'];

/**
 * One container's artifacts as a tar, as ARCHIVE.md describes it. The files are read twice, once for lpm.json, which stands
 * first and holds the hash of each; the second time they come from the page cache where they fit in it.
 *
 * @param folder the container's artifacts; nothing of them may change any more
 * @param onBytes told of what was read for the first time
 */
export async function packContainer(
  folder: string,
  describing: Describing,
  onBytes: (bytes: number) => void = () => {},
): Promise<{ size: number; tar: AsyncIterable<Uint8Array> }> {
  const listed = (await listFiles(folder, describing.container)).sort((a, b) => rank(a) - rank(b));
  const files: ArchivedFile[] = [];
  for (const { path } of listed) {
    const { sha256, bytes } = await digestOf(join(folder, path), onBytes);
    files.push({ path, size: bytes, sha256: sha256.toString('hex') });
  }
  const manifest: ArchiveManifest = { version: 1, ...describing, files };
  const text = Buffer.from(JSON.stringify(manifest));
  const folders = [...new Set(files.map(({ path }) => path.split('/').slice(0, -1).join('/')))].filter(
    Boolean,
  );
  const blocks = (size: number): number => BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  const size =
    blocks(text.length) +
    files.reduce((sum, each) => sum + blocks(each.size), 0) +
    folders.length * BLOCK +
    2 * BLOCK;
  return { size, tar: write(folder, text, files, new Date(describing.time)) };
}

function rank({ path }: ArtifactFile): number {
  const known = ORDER.indexOf(path);
  if (known >= 0) return known;
  return path.startsWith('checkpoint/') ? ORDER.length : ORDER.length + 1;
}

async function* write(
  folder: string,
  manifest: Buffer,
  files: readonly ArchivedFile[],
  time: Date,
): AsyncGenerator<Uint8Array> {
  const pack = tarPack();
  // The times of the files tell nobody anything; the same artifacts give the same archive.
  const head = { mtime: time, uid: 0, gid: 0, uname: 'root', gname: 'root' };
  const filling = (async (): Promise<void> => {
    await addEntry(pack, { ...head, name: MANIFEST_FILE, mode: 0o600, size: manifest.length }, [manifest]);
    let inFolder = '';
    for (const { path, size, sha256 } of files) {
      const below = path.split('/').slice(0, -1).join('/');
      if (below && below !== inFolder) {
        await addEntry(pack, { ...head, name: `${below}/`, type: 'directory', mode: 0o700, size: 0 }, []);
      }
      inFolder = below;
      const { file, stat } = await openPlainFile(join(folder, path));
      if (stat.size !== size) {
        await file.close();
        throw new LpmError(
          'ArtifactInvalid',
          `${path} changed while it was packed (${sha256.slice(0, 12)}…).`,
        );
      }
      await addEntry(pack, { ...head, name: path, mode: 0o600, size }, contentsOf(file));
    }
    pack.finalize();
  })();
  filling.catch((error: Error) => pack.destroy(error));
  try {
    yield* pack as AsyncIterable<Buffer>;
    await filling;
  } finally {
    pack.destroy();
  }
}

type Header = Parameters<Pack['entry']>[0];

/** tar-stream wants the next piece when `drain` says so, and the next entry when the one before has been taken. */
async function addEntry(
  pack: Pack,
  header: Header,
  contents: Iterable<Buffer> | AsyncIterable<Buffer>,
): Promise<void> {
  const done = new Promise<void>((resolve, reject) => {
    const entry = pack.entry(header, (error) => (error ? reject(error as Error) : resolve()));
    if (!entry || header.type === 'directory') return;
    const fill = async (): Promise<void> => {
      for await (const piece of contents) {
        if (!entry.write(piece)) await drained(entry);
        // Whatever else this process serves gets its turn.
        else await setImmediate();
      }
      entry.end(null);
    };
    fill().catch((error: Error) => {
      entry.destroy(error);
      reject(error);
    });
  });
  await done;
}

function drained(entry: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      entry.off('drain', settle).off('close', closed);
      resolve();
    };
    const closed = (): void => {
      entry.off('drain', settle);
      reject(new LpmError('Canceled', 'Packing was ended.'));
    };
    entry.once('drain', settle).once('close', closed);
  });
}
