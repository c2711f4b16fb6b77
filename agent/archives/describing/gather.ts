import { lstat, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode, type Decrypt } from '../reading/decode.js';
import { tarEntries } from '../reading/tar-entries.js';

/** What is kept of a checkpoint's files to describe it: all sizes, and the contents of what is small and says something. */
export interface Gathered {
  sizes: ReadonlyMap<string, number>;
  contents: ReadonlyMap<string, Buffer>;
  /** Something was left out, because there is too much of it. */
  truncated: boolean;
}

/** CRIU's images that are read, wherever they lie, and the descriptions that podman, CRI-O and containerd put beside them. */
const WANTED =
  /^(?:checkpoint\/(?:(?:pstree|files)|(?:core|ids|fdinfo|pagemap|mountpoints|utsns)-\d{1,10})\.img|(?:config|spec)\.dump)$/;
/** Of a log its first lines: they tell CRIU's version. */
const LOG = /^(?:checkpoint\/)?dump\.log$/;
const LOG_BYTES = 4096;
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_FILES = 100_000;

class Gathering implements Gathered {
  readonly sizes = new Map<string, number>();
  readonly contents = new Map<string, Buffer>();
  truncated = false;
  private bytes = 0;

  /** Notes a file; answers how many of its bytes are wanted. */
  note(name: string, size: number): number {
    if (this.sizes.size >= MAX_FILES) this.truncated = true;
    else this.sizes.set(name, size);
    if (LOG.test(name)) return Math.min(size, LOG_BYTES);
    if (!WANTED.test(name) || this.contents.has(name)) return 0;
    if (size <= MAX_FILE_BYTES && this.bytes + size <= MAX_BYTES && !this.truncated) return size;
    this.truncated = true;
    return 0;
  }

  keep(name: string, contents: Buffer): void {
    this.bytes += contents.length;
    this.contents.set(name, contents);
  }
}

/**
 * Reads an archive of anybody's (ours, the kubelet's runtimes') to its end.
 *
 * @throws ArtifactInvalid for what is no archive, EncryptionNotSetUp
 */
export async function gatherFromArchive(
  bytes: AsyncIterable<Uint8Array>,
  decrypt: Decrypt,
): Promise<Gathered> {
  const gathering = new Gathering();
  for await (const entry of tarEntries(decode(bytes, decrypt))) {
    if (entry.type !== 'file') continue;
    const name = entry.name.replace(/^\.\//, '');
    const wanted = gathering.note(name, entry.size);
    if (wanted === 0) continue;
    const parts: Buffer[] = [];
    let got = 0;
    for await (const part of entry.contents()) {
      if (got < wanted) parts.push(part.subarray(0, wanted - got));
      got += part.length;
    }
    // A copy: what came with it in one chunk is not held.
    gathering.keep(name, Buffer.concat(parts));
  }
  return gathering;
}

/** The same for a container's folder of artifacts, or an unpacked archive. */
export async function gatherFromFolder(folder: string): Promise<Gathered> {
  const gathering = new Gathering();
  for (const below of ['', 'checkpoint', 'volumes']) {
    const entries = await readdir(join(folder, below), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const name = below ? `${below}/${entry.name}` : entry.name;
      const full = join(folder, name);
      const { size } = await lstat(full);
      const wanted = gathering.note(name, size);
      if (wanted > 0)
        gathering.keep(name, wanted < size ? await beginning(full, wanted) : await readFile(full));
    }
  }
  return gathering;
}

async function beginning(path: string, length: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
