import { LpmError } from '../../common/errors.js';
import type { Context } from '../context.js';
import { parseArchiveUri } from './layout.js';
import { forgetArchive, takeBack } from './keep.js';
import { archiveFile, removeFile } from './node-files.js';
import {
  isKept,
  listRecords,
  readRecord,
  writeRecord,
  type ArchiveRecord,
  type KeptArchive,
} from './record.js';

/**
 * Removes an archive: from the repository, from the kubelet's folder of this node, and from the record. Answers the bytes that
 * this frees; none there is no error.
 *
 * @throws ArchiveMismatch when it is not known to be that checkpoint's, RepositoryUnavailable; nothing is removed then
 */
export async function removeArchive(context: Context, uri: string, checkpointUid: string): Promise<number> {
  const place = parseArchiveUri(uri);
  const [record, archive] = find(context, uri) ?? [];
  if (record && record.checkpointUid !== checkpointUid.toLowerCase()) {
    throw new LpmError(
      'ArchiveMismatch',
      `${uri} on node ${context.nodeName} was made for checkpoint ${record.checkpointUid}, not for ${checkpointUid}.`,
    );
  }
  if (record && archive) return removeKept(context, record, archive);
  return place.where === 'repository' ? context.archives.repository.remove(place.file, checkpointUid) : 0;
}

function find(context: Context, uri: string): [ArchiveRecord, KeptArchive] | undefined {
  const { file, where } = parseArchiveUri(uri);
  for (const record of listRecords(context.state)) {
    const archive = record.archives
      .filter(isKept)
      .find((each) => (where === 'node' ? each.nodeFile === file : each.info.uri === uri));
    if (archive) return [record, archive];
  }
  return undefined;
}

async function removeKept(context: Context, record: ArchiveRecord, archive: KeptArchive): Promise<number> {
  const { checkpointUid } = record;
  let bytes = 0;
  // First where it can fail.
  if (archive.info.uri.startsWith('shared:')) {
    bytes += await context.archives.repository.remove(archive.repositoryFile, checkpointUid);
  }
  bytes += await removeFile(archiveFile(context.host, archive.nodeFile));
  forgetArchive(context, checkpointUid, archive.container);
  const left = readRecord(context.state, checkpointUid);
  if (left?.result && left.archives.length === 0) {
    writeRecord(context.state, { ...left, removedAt: new Date().toISOString() });
  }
  return bytes;
}

/**
 * Removes all archives of a checkpoint of which nobody was answered: a new try is about to be made, and its set must be of one
 * moment. What the repository does not let go now is still told by its sidecar.
 */
export async function dropUnanswered(context: Context, checkpointUid: string): Promise<void> {
  const record = readRecord(context.state, checkpointUid);
  if (!record || record.result) return;
  for (const archive of record.archives) {
    if (!isKept(archive)) {
      await takeBack(context, checkpointUid, archive.container);
      continue;
    }
    try {
      await removeKept(context, record, archive);
    } catch (error) {
      if (!(error instanceof LpmError)) throw error;
      await removeFile(archiveFile(context.host, archive.nodeFile));
      forgetArchive(context, checkpointUid, archive.container);
    }
  }
}
