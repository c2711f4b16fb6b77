import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { link, lstat, mkdir, open, readdir, rm, statfs, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { KUBELET_CHECKPOINTS } from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import type { Host } from '../host.js';
import { checkLabel, checkUid } from '../names.js';
import { syncPath } from '../state.js';
import { isKubeletFile } from './layout.js';

/** The archives in the kubelet's folder of this node. */

const READ_BYTES = 1024 * 1024;

/** The folder as a path of this process; made as the kubelet makes it where it is not there yet. */
export async function archiveFolder(host: Host): Promise<string> {
  const folder = host.path(KUBELET_CHECKPOINTS);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** An archive of that name as a path of this process. */
export function archiveFile(host: Host, file: string): string {
  if (!isKubeletFile(file)) throw new LpmError('InvalidArgument', `"${file}" is no archive's name.`);
  return join(host.path(KUBELET_CHECKPOINTS), file);
}

/** Where an archive lies until it is whole and gets its name. One for each container of a checkpoint. */
export function temporaryFile(host: Host, checkpointUid: string, container: string): string {
  const uid = checkUid(checkpointUid, 'checkpoint UID').toLowerCase();
  return join(host.path(KUBELET_CHECKPOINTS), `.lpm-${uid}-${checkLabel(container, 'container name')}.tmp`);
}

/** What agents before this one have left half written. */
export async function temporaryFiles(host: Host): Promise<string[]> {
  const folder = await archiveFolder(host);
  return (await readdir(folder))
    .filter((name) => name.startsWith('.lpm-') && name.endsWith('.tmp'))
    .map((name) => join(folder, name));
}

export async function freeBytesFor(host: Host): Promise<number> {
  const { bavail, bsize } = await statfs(await archiveFolder(host));
  return bavail * bsize;
}

/** @throws ArchiveNotFound, ArtifactInvalid when it is no regular file; links are not followed */
export async function openPlainFile(path: string): Promise<{ file: FileHandle; stat: Stats }> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw new LpmError('ArchiveNotFound', `There is no ${path}.`);
      if (error.code === 'ELOOP') throw new LpmError('ArtifactInvalid', `${path} is a link.`);
      throw error;
    },
  );
  const stat = await file.stat();
  if (stat.isFile()) return { file, stat };
  await file.close();
  throw new LpmError('ArtifactInvalid', `${path} is not a file.`);
}

/** A file from its beginning to its end; it is closed then. The next piece is read while the one before is worked on. */
export async function* contentsOf(file: FileHandle): AsyncGenerator<Buffer> {
  try {
    let at = 0;
    let ahead = readAt(file, at);
    for (;;) {
      const piece = await ahead;
      if (piece.length === 0) return;
      at += piece.length;
      ahead = readAt(file, at);
      // When nobody asks for it any more, nobody hears of its error.
      ahead.catch(() => {});
      yield piece;
    }
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, position: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
  return buffer.subarray(0, bytesRead);
}

/** SHA-256 and length of a file; `onBytes` is told of each piece. */
export async function digestOf(
  path: string,
  onBytes: (bytes: number) => void = () => {},
): Promise<{ sha256: Buffer; bytes: number }> {
  const { file } = await openPlainFile(path);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of contentsOf(file)) {
    hash.update(piece);
    bytes += piece.length;
    onBytes(piece.length);
  }
  return { sha256: hash.digest(), bytes };
}

/** Writes a new file of mode 0600 whole and synced, and answers what it is. What was there of an earlier try is replaced. */
export async function writeNew(
  path: string,
  source: AsyncIterable<Uint8Array>,
): Promise<{ sha256: Buffer; bytes: number }> {
  await rm(path, { force: true });
  const file = await open(path, 'wx', 0o600);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const part of together(source)) {
      for (const each of part) hash.update(each);
      const length = part.reduce((sum, each) => sum + each.length, 0);
      const { bytesWritten } = await file.writev(part, bytes);
      bytes += bytesWritten;
      // Only a full disk takes less than it was given, and then says so at the next write.
      if (bytesWritten < length) await writeRest(file, Buffer.concat(part).subarray(bytesWritten), bytes);
      bytes += length - bytesWritten;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { sha256: hash.digest(), bytes };
}

async function writeRest(file: FileHandle, rest: Buffer, at: number): Promise<void> {
  for (let done = 0; done < rest.length;) {
    done += (await file.write(rest, done, rest.length - done, at + done)).bytesWritten;
  }
}

/** Small pieces are written several at a time. */
async function* together(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array[]> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of source) {
    waiting.push(piece);
    bytes += piece.length;
    if (bytes < READ_BYTES) continue;
    yield waiting;
    waiting = [];
    bytes = 0;
  }
  if (waiting.length > 0) yield waiting;
}

/** Brings a file that was written by somebody else to the disk; it may take its time. */
export async function syncFile(path: string): Promise<void> {
  const { file } = await openPlainFile(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gives a whole file its final name; false when the name is taken. The temporary name stays. */
export async function nameArchive(temporary: string, final: string): Promise<boolean> {
  try {
    await link(temporary, final);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  syncPath(join(final, '..'));
  return true;
}

/** Both names are of one file. */
export async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => lstat(path).catch(() => undefined)));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/** Removes a file, and answers its bytes. */
export async function removeFile(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return 0;
  await rm(path, { force: true });
  return found.size;
}
