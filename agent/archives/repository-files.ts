/**
 * What is done to the files of a repository. All of it happens in a process of its own (worker.ts): on a network file system
 * whose server is gone, each of these calls may never return.
 */
import { constants } from 'node:fs';
import { access, link, lstat, mkdir, open, readdir, readFile, rename, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRepositoryFile } from './layout.js';
import { parseSidecar, type Sidecar } from './sidecar.js';

const FOLDER = '.lpm';
const COPY_BYTES = 4 * 1024 * 1024;
/** So much is brought to the disk or server at a time: the last sync would otherwise take as long as all the rest. */
const SYNC_BYTES = 64 * 1024 * 1024;

/** An error whose code is one of ours. */
export class RepositoryError extends Error {
  constructor(
    readonly code: 'TAKEN' | 'MISMATCH' | 'NOT_FOUND' | 'FULL' | 'NO_FILE',
    message: string,
  ) {
    super(message);
  }
}

const sidecarFile = (repository: string, file: string): string => join(repository, FOLDER, `${file}.json`);
/** The archive while it is copied. */
const partFile = (repository: string, file: string): string => join(repository, `.${file}.part`);

export async function spaceIn(repository: string): Promise<{ freeBytes: number }> {
  await access(repository, constants.W_OK | constants.X_OK);
  const { bavail, bsize } = await statfs(repository);
  return { freeBytes: bavail * bsize };
}

/**
 * Copies a file of this node into the repository; a link serves where both are one file system.
 *
 * @throws RepositoryError TAKEN when there is another archive of that name
 */
export async function putArchive(
  repository: string,
  { from, file, sidecar }: { from: string; file: string; sidecar: Sidecar },
  onBytes: (bytes: number) => void,
): Promise<void> {
  checkFile(file);
  await mkdir(join(repository, FOLDER), { mode: 0o700 }).catch(unless('EEXIST'));
  const other = await sidecarOf(repository, file);
  const final = join(repository, file);
  const part = partFile(repository, file);
  const taken = new RepositoryError('TAKEN', `There is another archive ${file} in ${repository}.`);
  if (other ? !sameArchive(other, sidecar) : await exists(final)) throw taken;
  if (await exists(final)) return;
  const { freeBytes } = await spaceIn(repository);
  const linked = await tryLink(from, part);
  if (!linked && freeBytes < sidecar.bytes) {
    throw new RepositoryError('FULL', `${repository} has ${freeBytes} bytes free.`);
  }
  let named = false;
  try {
    await writeWhole(sidecarFile(repository, file), JSON.stringify(sidecar));
    if (!linked) await copy(from, part, sidecar.bytes, onBytes);
    await nameIt(part, final, taken);
    named = true;
    await rm(part, { force: true });
    await syncFolder(repository);
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    if (named) await rm(final, { force: true }).catch(() => {});
    if (error !== taken) await rm(sidecarFile(repository, file), { force: true }).catch(() => {});
    throw error;
  }
}

async function tryLink(from: string, part: string): Promise<boolean> {
  await rm(part, { force: true });
  return link(from, part).then(
    () => true,
    () => false,
  );
}

async function copy(
  from: string,
  part: string,
  size: number,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const target = await open(part, 'wx', 0o600);
    try {
      const buffer = Buffer.allocUnsafe(COPY_BYTES);
      let done = 0;
      let synced = 0;
      for (;;) {
        const { bytesRead } = await source.read(buffer, 0, buffer.length, done);
        if (bytesRead === 0) break;
        for (let at = 0; at < bytesRead;) {
          at += (await target.write(buffer, at, bytesRead - at, done + at)).bytesWritten;
        }
        done += bytesRead;
        if (done - synced >= SYNC_BYTES) {
          await target.datasync();
          synced = done;
        }
        onBytes(done);
      }
      if (done !== size) throw new Error(`${from} has ${done} bytes in place of ${size}`);
      await target.sync();
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Gives it its final name unless that is taken. Where there are no hard links, two that come at once are not told apart. */
async function nameIt(part: string, final: string, taken: Error): Promise<void> {
  try {
    await link(part, final);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw taken;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(code)) throw error;
    if (await exists(final)) throw taken;
    await rename(part, final);
  }
}

/** A sidecar and what lies there under its name. */
export interface Listed {
  file: string;
  sidecar: Sidecar;
  /** The archive is there; else it is being copied, or was left half copied. */
  there: boolean;
}

export async function listArchives(repository: string, clusterUid: string): Promise<Listed[]> {
  const names = await readdir(join(repository, FOLDER)).catch(unless('ENOENT'));
  const found: Listed[] = [];
  for (const name of names ?? []) {
    const file = name.replace(/\.json$/, '');
    if (file === name || !isRepositoryFile(file)) continue;
    const sidecar = await sidecarOf(repository, file);
    if (sidecar?.clusterUid !== clusterUid) continue;
    found.push({ file, sidecar, there: await exists(join(repository, file)) });
  }
  return found;
}

/**
 * Removes an archive, its sidecar and what a copy left half done. Answers the bytes that this frees.
 *
 * @throws RepositoryError MISMATCH when it is not known to be that checkpoint's
 */
export async function removeArchive(
  repository: string,
  { file, checkpointUid }: { file: string; checkpointUid: string },
): Promise<number> {
  checkFile(file);
  const final = join(repository, file);
  const sidecar = await sidecarOf(repository, file);
  if (sidecar ? sidecar.checkpointUid !== checkpointUid : await exists(final)) {
    throw new RepositoryError(
      'MISMATCH',
      sidecar
        ? `${file} in ${repository} was made for checkpoint ${sidecar.checkpointUid}.`
        : `Nothing in ${repository} tells for which checkpoint ${file} was made.`,
    );
  }
  let freed = 0;
  for (const path of [final, partFile(repository, file)]) {
    const found = await lstat(path).catch(unless('ENOENT'));
    if (!found) continue;
    await rm(path, { force: true });
    freed += found.size;
  }
  // Last, so that what is left when this is cut short can still be told and removed.
  await rm(sidecarFile(repository, file), { force: true });
  return freed;
}

/** Opens an archive, without following a link, for whoever sends it on. */
export async function openFile(
  path: string,
): Promise<{ file: Awaited<ReturnType<typeof open>>; size: number }> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw new RepositoryError('NOT_FOUND', `There is no ${path}.`);
      if (error.code === 'ELOOP') throw new RepositoryError('NO_FILE', `${path} is a link.`);
      throw error;
    },
  );
  const found = await file.stat();
  if (found.isFile()) return { file, size: found.size };
  await file.close();
  throw new RepositoryError('NO_FILE', `${path} is not a file.`);
}

async function sidecarOf(repository: string, file: string): Promise<Sidecar | undefined> {
  const path = sidecarFile(repository, file);
  const found = await lstat(path).catch(unless('ENOENT'));
  // A real one has a few hundred bytes.
  if (!found?.isFile() || found.size > 64 * 1024) return undefined;
  const text = await readFile(path, 'utf8').catch(unless('ENOENT'));
  return text === undefined ? undefined : parseSidecar(text);
}

const sameArchive = (a: Sidecar, b: Sidecar): boolean =>
  a.checkpointUid === b.checkpointUid && a.container === b.container && a.sha256 === b.sha256;

async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function checkFile(file: string): void {
  if (!isRepositoryFile(file)) throw new RepositoryError('NOT_FOUND', `"${file}" is no archive's name.`);
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(unless('ENOENT'))) !== undefined;
}

/** For `catch`: an error of this code is no error. */
const unless =
  (code: string) =>
  (error: NodeJS.ErrnoException): undefined => {
    if (error.code !== code) throw error;
    return undefined;
  };
