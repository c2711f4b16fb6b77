import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, mkdirSync, openSync, writeSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LpmError, messageOf } from '../../../common/errors.js';
import type { ReceivedFile } from '../../transfer.js';
import {
  MANIFEST_FILE,
  MAX_MANIFEST_BYTES,
  parseManifest,
  type ArchivedFile,
  type ArchiveManifest,
} from '../manifest.js';
import { decode, type Decrypt } from './decode.js';
import { tarEntries, type TarEntry } from './tar-entries.js';

/** What an archive must be, from whoever asks for it; nothing of it is used when it is anything else. */
export interface ExpectedArchive {
  /** How it is called in messages. */
  uri: string;
  sha256: Uint8Array;
  bytes: number;
  container: string;
}

export interface UnpackLimits {
  /** The most that may be written. */
  bytes: number;
}

export interface UnpackedArchive {
  manifest: ArchiveManifest;
  files: ReceivedFile[];
}

/** What stays free on the disk that an archive is unpacked to. */
const SPARE_BYTES = 64 * 1024 * 1024;
/** Folders take no more names than these, and these have no contents of their own. */
const FOLDERS = new Set(['checkpoint/', 'volumes/']);
/** Files of which nobody needs a large one, and which are read into memory somewhere. */
const MAX_BYTES: Readonly<Record<string, number>> = {
  'config.dump': 1 << 20,
  'spec.dump': 16 << 20,
  'deleted.files': 64 << 20,
  'stats-dump': 1 << 20,
};

/** As much as may be written to a folder's file system. */
export async function roomIn(folder: string): Promise<UnpackLimits> {
  const { bavail, bsize } = await statfs(folder);
  return { bytes: Math.max(0, bavail * bsize - SPARE_BYTES) };
}

/**
 * Unpacks one container's archive into a new folder, and believes none of it: files of known names only, each listed in
 * lpm.json with the size and SHA-256 that it has, all of those and nothing else. What was written is worth nothing before
 * this has returned: only then the archive's own size and SHA-256 are known to be right.
 *
 * @param folder is made, and must not be there
 * @throws ArtifactInvalid saying what is wrong where, NoSpace, EncryptionNotSetUp
 */
export async function unpackArchive(
  source: AsyncIterable<Uint8Array>,
  folder: string,
  expected: ExpectedArchive,
  limits: UnpackLimits,
  decrypt: Decrypt,
): Promise<UnpackedArchive> {
  const raw = new HashedSource(source, expected.bytes);
  let failure: unknown;
  let unpacked: UnpackedArchive | undefined;
  try {
    mkdirSync(folder, { mode: 0o700 });
    unpacked = await unpack(decode(raw.bytes(), decrypt), folder, expected.container, limits);
  } catch (error) {
    failure = error;
  }
  // An archive that was altered is refused for that, whatever else is wrong with it because of it.
  const problem = await raw.problem(expected.sha256, failure);
  if (problem) {
    const found = failure instanceof LpmError ? ` ${failure.message}` : '';
    throw new LpmError('ArtifactInvalid', `The archive ${expected.uri} ${problem}.${found}`, {
      hint: 'It was cut off or altered since it was made. Nothing of it was used.',
      cause: failure,
    });
  }
  if (unpacked) return unpacked;
  if (failure instanceof LpmError) {
    throw new LpmError(failure.reason, `The archive ${expected.uri} is refused: ${failure.message}`, {
      hint: failure.hint,
      cause: failure,
    });
  }
  throw new LpmError(
    'StageFailed',
    `The archive ${expected.uri} cannot be unpacked: ${messageOf(failure)}.`,
    {
      cause: failure,
    },
  );
}

/** The bytes of an archive as they lie there: counted, hashed, and no more of them than there should be. */
class HashedSource {
  private readonly hash = createHash('sha256');
  private readonly iterator: AsyncIterator<Uint8Array>;
  private got = 0;
  private ended = false;
  private error: unknown;

  constructor(
    source: AsyncIterable<Uint8Array>,
    private readonly size: number,
  ) {
    this.iterator = source[Symbol.asyncIterator]();
  }

  async *bytes(): AsyncGenerator<Uint8Array> {
    for (let chunk = await this.next(); chunk; chunk = await this.next()) yield chunk;
  }

  /** Reads what nobody has read yet, and tells what is wrong with the whole; undefined when nothing is. */
  async problem(sha256: Uint8Array, failure: unknown): Promise<string | undefined> {
    if (this.error) throw this.error as Error;
    const other =
      failure !== undefined && !(failure instanceof LpmError && failure.reason === 'ArtifactInvalid');
    try {
      // It was not the archive that was wrong.
      if (other) return undefined;
      while (await this.next());
    } finally {
      await this.iterator.return?.();
    }
    if (this.got > this.size) return `is longer than the ${this.size} bytes that were announced`;
    if (this.got < this.size) return `is cut off: ${this.got} of ${this.size} bytes are there`;
    const digest = this.hash.digest();
    if (digest.equals(sha256)) return undefined;
    return `has the SHA-256 ${digest.toString('hex')}, not ${Buffer.from(sha256).toString('hex')}`;
  }

  private async next(): Promise<Uint8Array | undefined> {
    // What could not be read once is not asked for again.
    if (this.error) throw this.error as Error;
    if (this.ended) return undefined;
    try {
      const { done, value } = await this.iterator.next();
      if (!done) {
        this.got += value.length;
        this.hash.update(value);
        if (this.got <= this.size) return value;
      }
      this.ended = true;
      return undefined;
    } catch (error) {
      this.error = error;
      throw error;
    }
  }
}

async function unpack(
  tar: AsyncIterable<Uint8Array>,
  folder: string,
  container: string,
  limits: UnpackLimits,
): Promise<UnpackedArchive> {
  const bad = (what: string): LpmError => new LpmError('ArtifactInvalid', `It ${what}.`);
  let manifest: ArchiveManifest | undefined;
  const wanted = new Map<string, ArchivedFile>();
  const files: ReceivedFile[] = [];
  const made = new Set<string>();
  for await (const entry of tarEntries(tar)) {
    const { name, type, size } = entry;
    if (!manifest) {
      if (name !== MANIFEST_FILE || type !== 'file') {
        throw bad(
          `begins with ${JSON.stringify(name)}, not with ${MANIFEST_FILE}: it is no archive of this project`,
        );
      }
      if (size > MAX_MANIFEST_BYTES) throw bad(`has ${MANIFEST_FILE} of ${size} bytes, which is too large`);
      manifest = parseManifest(await whole(entry));
      if (manifest.container !== container) {
        throw bad(`holds the container ${manifest.container}, not ${container}`);
      }
      checkRoom(manifest.files, limits);
      for (const file of manifest.files) wanted.set(file.path, file);
      continue;
    }
    if (type === 'directory' && FOLDERS.has(name)) continue;
    if (type !== 'file') throw bad(`holds ${JSON.stringify(name)}, which is no regular file`);
    const file = wanted.get(name);
    if (!file) {
      const twice = files.some(({ path }) => path === name) || name === MANIFEST_FILE;
      throw bad(
        `holds ${JSON.stringify(name)}${twice ? ' twice' : `, which ${MANIFEST_FILE} does not list`}`,
      );
    }
    wanted.delete(name);
    if (size !== file.size)
      throw bad(`holds ${name} of ${size} bytes, where ${MANIFEST_FILE} says ${file.size}`);
    const most = MAX_BYTES[name];
    if (most !== undefined && size > most) throw bad(`holds ${name} of ${size} bytes, which is too large`);
    const sha256 = await write(entry, folder, made);
    if (sha256 !== file.sha256) throw bad(`holds ${name} with another SHA-256 than ${MANIFEST_FILE} says`);
    files.push({ container, path: name, size, sha256 });
  }
  if (!manifest) throw bad('is empty');
  const [missing] = wanted.keys();
  if (missing !== undefined) throw bad(`lacks ${missing}, which ${MANIFEST_FILE} lists`);
  return { manifest, files };
}

function checkRoom(files: readonly ArchivedFile[], limits: UnpackLimits): void {
  // Files take whole blocks of the disk.
  const wanted = files.reduce((sum, { size }) => sum + Math.ceil(size / 4096) * 4096, 0);
  if (wanted <= limits.bytes) return;
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 1048576)} MiB`;
  throw new LpmError(
    'NoSpace',
    `Unpacked it takes ${mebibytes(wanted)}, but there is room for ${mebibytes(limits.bytes)} on this node.`,
    { hint: 'Make room in the state folder of the agent (/var/lib/lpm).' },
  );
}

async function whole(entry: TarEntry): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of entry.contents()) parts.push(part);
  return Buffer.concat(parts);
}

/** The name is one of the known layout, so that it leads nowhere else; the folder is new and ours, so nothing lies in it. */
async function write(entry: TarEntry, folder: string, made: Set<string>): Promise<string> {
  const full = join(folder, entry.name);
  const parent = dirname(full);
  if (parent !== folder && !made.has(parent)) {
    mkdirSync(parent, { mode: 0o700 });
    made.add(parent);
  }
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const fd = openSync(full, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  const hash: Hash = createHash('sha256');
  try {
    for await (const piece of entry.contents()) {
      hash.update(piece);
      // One write may take less than it was given.
      for (let at = 0; at < piece.length;) at += writeSync(fd, piece, at);
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}
