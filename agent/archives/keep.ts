import { chmod, rename, rm } from 'node:fs/promises';
import { LpmError, messageOf } from '../../common/errors.js';
import { faultPoint } from '../../common/fault-point.js';
import type { ArchiveDescription, ArchiveInfo, CheckpointResult } from '../../proto/gen/lpm/v1/agent.js';
import type { Context } from '../context.js';
import { checkLabel, checkPod, checkUid, type CheckedPod } from '../names.js';
import { syncPath } from '../state.js';
import { describeArchive, describeFolder } from './describing/describe.js';
import { isKubeletFile, kubeletFile, nodeUri, repositoryFile, sharedUri, stampOf } from './layout.js';
import {
  archiveFile,
  archiveFolder,
  contentsOf,
  digestOf,
  isSameFile,
  nameArchive,
  openPlainFile,
  removeFile,
  syncFile,
  temporaryFile,
  writeNew,
} from './node-files.js';
import { decryptWith } from './reading/decrypt.js';
import {
  dropRecord,
  isKept,
  readRecord,
  writeRecord,
  type ArchiveRecord,
  type RecordedArchive,
} from './record.js';
import { suffixOfBytes, type Seal } from './seal.js';

/** Whose archive it is. */
export interface Keeping {
  checkpointUid: string;
  clusterUid: string;
  pod: CheckedPod;
  container: string;
  /** When the container was as the archive has it; its name tells this. */
  takenAt: Date;
  /** What of the container is not in it, each a sentence. */
  gaps?: readonly string[];
  restorable: boolean;
  /** Told how many bytes are done. */
  onBytes?: (done: number) => void;
  signal?: AbortSignal;
}

/** What is to be kept. */
export type Contents =
  /** A plain tar, which is sealed while it is written, and the folder of artifacts that it packs. */
  | { from: 'tar'; tar: AsyncIterable<Uint8Array>; seal: Seal; folder?: string }
  /** A tar that the kubelet has written, by its name in the kubelet's folder. It stays when it is not sealed, else it goes. */
  | { from: 'kubelet'; file: string; seal: Seal }
  /**
   * A whole archive, sealed or not, which stays as it is: a file of this process's own in the kubelet's folder
   * (`temporaryFile`). It is gone from there afterwards, also after a failure. Who has hashed it already says so.
   */
  | { from: 'archive'; path: string; known?: { sha256: Buffer; bytes: number } };

/**
 * Keeps one archive: whole, synced and of mode 0600 under its final name in the kubelet's folder, and in the repository where
 * that can be. Recorded durably before it answers; asked again for the same checkpoint and container it answers what is kept.
 *
 * @throws NoSpace, EncryptionNotSetUp, ArtifactInvalid; nothing of it is left then
 */
export async function keepArchive(
  context: Context,
  keeping: Keeping,
  contents: Contents,
): Promise<ArchiveInfo> {
  const { state } = context;
  const pod = checkPod(keeping.pod);
  const container = checkLabel(keeping.container, 'container name');
  const checkpointUid = checkUid(keeping.checkpointUid, 'checkpoint UID').toLowerCase();
  const temporary = temporaryFile(context.host, checkpointUid, container);
  const known = readRecord(state, checkpointUid)?.archives.find((each) => each.container === container);
  if (known && isKept(known)) {
    if (contents.from === 'archive') await rm(contents.path, { force: true });
    return known.info;
  }
  if (known) await takeBack(context, checkpointUid, container, { keep: contents });
  try {
    await archiveFolder(context.host);
    const written = await write(context, keeping, contents, temporary);
    keeping.signal?.throwIfAborted();
    const info = await place(context, { ...keeping, checkpointUid, pod, container }, contents, written);
    if (contents.from === 'kubelet' && !contents.seal.plain) {
      await rm(archiveFile(context.host, contents.file), { force: true });
    }
    return info;
  } catch (error) {
    await takeBack(context, checkpointUid, container).catch((failed: unknown) =>
      context.log.warn('what is left of an archive is removed later', {
        checkpoint_uid: checkpointUid,
        error: failed,
      }),
    );
    throw explain(context, error);
  } finally {
    await rm(temporary, { force: true });
    if (contents.from === 'archive') await rm(contents.path, { force: true });
  }
}

interface Written {
  sha256: Buffer;
  bytes: number;
  suffix: string;
}

/** Writes it under its temporary name; what the kubelet wrote and nobody seals stays where it is. */
async function write(
  { host }: Context,
  keeping: Keeping,
  contents: Contents,
  temporary: string,
): Promise<Written> {
  let done = 0;
  const onBytes = (bytes: number): void => {
    keeping.signal?.throwIfAborted();
    keeping.onBytes?.((done += bytes));
  };
  switch (contents.from) {
    case 'tar': {
      const { seal, tar } = contents;
      return { ...(await writeNew(temporary, seal.apply(counted(tar, onBytes)))), suffix: seal.suffix };
    }
    case 'kubelet': {
      if (!isKubeletFile(contents.file)) {
        throw new LpmError(
          'ArtifactInvalid',
          `The kubelet calls an archive "${contents.file.slice(0, 300)}".`,
        );
      }
      const path = archiveFile(host, contents.file);
      if (contents.seal.plain) {
        const digest = await digestOf(path, onBytes);
        await chmod(path, 0o600);
        await syncFile(path);
        return { ...digest, suffix: contents.seal.suffix };
      }
      const { file } = await openPlainFile(path);
      const sealed = contents.seal.apply(counted(contentsOf(file), onBytes));
      return { ...(await writeNew(temporary, sealed)), suffix: contents.seal.suffix };
    }
    case 'archive': {
      const { file } = await openPlainFile(contents.path);
      const begin = Buffer.alloc(64);
      const { bytesRead } = await file.read(begin, 0, begin.length, 0).finally(() => file.close());
      const suffix = suffixOfBytes(begin.subarray(0, bytesRead));
      if (contents.path !== temporary) await rename(contents.path, temporary);
      await chmod(temporary, 0o600);
      await syncFile(temporary);
      return { ...(contents.known ?? (await digestOf(temporary, onBytes))), suffix };
    }
  }
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    onBytes(piece.length);
    yield piece;
  }
}

/** Gives it its names, here and in the repository. */
async function place(
  context: Context,
  keeping: Keeping,
  contents: Contents,
  { sha256, bytes, suffix }: Written,
): Promise<ArchiveInfo> {
  const { host, state } = context;
  const { checkpointUid, container, pod } = keeping;
  const temporary = temporaryFile(host, checkpointUid, container);
  const byKubelet = contents.from === 'kubelet' && contents.seal.plain;
  let second = keeping.takenAt.getTime();
  for (; ; second += 1000) {
    // Names have seconds: of two archives of a container in one second, the later is called after the next.
    const stamp = stampOf(new Date(second));
    const nodeFile = byKubelet ? contents.file : kubeletFile(pod, container, stamp, suffix);
    const archive: RecordedArchive = {
      container,
      nodeFile,
      repositoryFile: repositoryFile(pod, container, stamp, suffix),
      byKubelet,
    };
    record(context, keeping, archive);
    FAULT: await faultPoint('agent.archive.recorded');
    if (!byKubelet && !(await nameArchive(temporary, archiveFile(host, nodeFile)))) continue;
    FAULT: await faultPoint('agent.archive.named');
    const shared = await share(context, keeping, archive, { sha256, bytes });
    if (shared === 'name taken') {
      if (!byKubelet) await rm(archiveFile(host, nodeFile), { force: true });
      continue;
    }
    FAULT: await faultPoint('agent.archive.shared');
    const description = await describeContents(context, keeping, contents, archiveFile(host, nodeFile));
    const info: ArchiveInfo = {
      uri: shared === '' ? sharedUri(archive.repositoryFile) : nodeUri(nodeFile),
      sha256,
      bytes: BigInt(bytes),
      repositoryProblem: shared,
      gaps: [...(keeping.gaps ?? [])],
      restorable: keeping.restorable,
      description,
    };
    record(context, keeping, { ...archive, info, since: new Date().toISOString() });
    syncPath(state.archivesRoot);
    return info;
  }
}

/** What people are told of it. Nothing is decided by that, so an archive that cannot be read is kept without. */
async function describeContents(
  context: Context,
  { checkpointUid, container, signal }: Keeping,
  contents: Contents,
  path: string,
): Promise<ArchiveDescription | undefined> {
  const read = async function* (from: string): AsyncGenerator<Uint8Array> {
    const { file } = await openPlainFile(from);
    yield* counted(contentsOf(file), () => signal?.throwIfAborted());
  };
  try {
    if (contents.from === 'tar' && contents.folder) return await describeFolder(contents.folder);
    const plain = contents.from === 'kubelet' ? archiveFile(context.host, contents.file) : path;
    return await describeArchive(read(plain), decryptWith(context.archives));
  } catch (error) {
    context.log.warn('an archive cannot be described', { checkpoint_uid: checkpointUid, container, error });
    return undefined;
  }
}

/** Puts it into the repository. Answers why it is not there, empty when it is. */
async function share(
  context: Context,
  { checkpointUid, clusterUid, container, onBytes, pod, signal }: Keeping,
  { nodeFile, repositoryFile: file }: RecordedArchive,
  { sha256, bytes }: { sha256: Buffer; bytes: number },
): Promise<string> {
  const { repository } = context.archives;
  const problem = repository.problem();
  if (problem) return problem;
  const sidecar = {
    version: 1 as const,
    clusterUid,
    checkpointUid,
    container,
    pod,
    nodeName: context.nodeName,
    sha256: sha256.toString('hex'),
    bytes,
    time: new Date().toISOString(),
  };
  try {
    await repository.put(
      { from: archiveFile(context.host, nodeFile), file, sidecar },
      (done) => onBytes?.(bytes + done),
      signal,
    );
    return '';
  } catch (error) {
    if (!(error instanceof LpmError) || error.reason === 'Canceled') throw error;
    if (error.reason === 'NameTaken') return 'name taken';
    context.log.warn('an archive is kept on this node only', {
      checkpoint_uid: checkpointUid,
      reason: error.reason,
      error: error.message,
    });
    return error.message;
  }
}

/** Writes down what is known of one archive, beside what is known of the others. */
function record({ nodeName, state }: Context, keeping: Keeping, archive: RecordedArchive): void {
  const { checkpointUid, clusterUid, pod } = keeping;
  const before = readRecord(state, checkpointUid);
  const others = before?.archives.filter(({ container }) => container !== archive.container) ?? [];
  writeRecord(state, {
    ...(before ?? { version: 1, checkpointUid, clusterUid, pod, nodeName }),
    archives: [...others, archive],
  });
}

/**
 * Removes what an unfinished try has left of an archive: what it wrote, what it named, what it put into the repository, and
 * its record. What the kubelet has written goes too, unless it is what is to be kept now.
 */
export async function takeBack(
  context: Context,
  checkpointUid: string,
  container: string,
  { keep }: { keep?: Contents } = {},
): Promise<void> {
  const { host, state } = context;
  const found = readRecord(state, checkpointUid);
  const archive = found?.archives.find((each) => each.container === container);
  if (!found || !archive || isKept(archive)) return;
  const temporary = temporaryFile(host, checkpointUid, container);
  const named = archiveFile(host, archive.nodeFile);
  // The temporary name stays until the archive is recorded as kept: it tells that the other one is ours, too.
  if (archive.byKubelet) {
    if (!(keep?.from === 'kubelet' && keep.file === archive.nodeFile)) await removeFile(named);
  } else if (await isSameFile(temporary, named)) await removeFile(named);
  if (context.archives.repository.problem() === '') {
    await context.archives.repository
      .remove(archive.repositoryFile, checkpointUid)
      .catch((error: unknown) => {
        // A file of that name that is another checkpoint's is none that we began. What cannot be removed now is still told
        // by its sidecar, to every agent that lists the archives of this cluster.
        if (!(error instanceof LpmError)) throw error;
      });
  }
  if (!keep) await removeFile(temporary);
  forgetArchive(context, checkpointUid, container);
}

/** Takes an archive out of its record, and the record away with the last one when nothing was answered of it. */
export function forgetArchive({ state }: Context, checkpointUid: string, container: string): void {
  const found = readRecord(state, checkpointUid);
  if (!found) return;
  const archives = found.archives.filter((each) => each.container !== container);
  if (archives.length > 0 || found.result) writeRecord(state, { ...found, archives });
  else dropRecord(state, checkpointUid);
}

/**
 * What was answered for a checkpoint, so that it is not made again.
 *
 * @throws Revoked when its archives have been removed since
 */
export function answeredResult({ state }: Context, checkpointUid: string): CheckpointResult | undefined {
  const found = readRecord(state, checkpointUid);
  if (found?.removedAt) {
    throw new LpmError(
      'Revoked',
      `The archives of checkpoint ${checkpointUid} were removed at ${found.removedAt}; it is not made again.`,
      { hint: 'A new checkpoint needs a new UID.' },
    );
  }
  return found?.result;
}

/** Records what is answered now: from here on, asking again answers the same. All archives must be kept. */
export function recordResult(context: Context, checkpointUid: string, result: CheckpointResult): void {
  const found = readRecord(context.state, checkpointUid) as ArchiveRecord | undefined;
  if (!found?.archives.every(isKept)) {
    throw new LpmError('Internal', `Not all archives of checkpoint ${checkpointUid} are kept.`);
  }
  writeRecord(context.state, { ...found, result });
}

function explain({ nodeName }: Context, error: unknown): unknown {
  if (error instanceof LpmError) return error;
  const { code, name } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new LpmError('NoSpace', `The disk of node ${nodeName} is full: the archive cannot be written.`, {
      hint: 'Make room in /var/lib/kubelet/checkpoints.',
      cause: error,
    });
  }
  if (name === 'AbortError')
    return new LpmError('Canceled', 'The checkpoint was canceled.', { cause: error });
  return new LpmError('CollectFailed', `The archive cannot be written: ${messageOf(error)}.`, {
    cause: error,
  });
}
