import { createHash } from 'node:crypto';
import { LpmError } from '../../common/errors.js';
import type { Context } from '../context.js';
import { parseArchiveUri } from './layout.js';
import { archiveFile, contentsOf, openPlainFile } from './node-files.js';
import { isKept, listRecords, type KeptArchive } from './record.js';

export interface OpenedArchive {
  /** As they lie there, compressed or encrypted or not. Who stops reading early calls `return`, as `for await` does. */
  bytes: AsyncIterable<Uint8Array>;
  size: number;
}

/** The archive of this node that goes by a URI: the one that it calls so, or the copy in the kubelet's folder. */
export function recordedArchive(context: Context, uri: string): KeptArchive | undefined {
  const { file, where } = parseArchiveUri(uri);
  for (const { archives } of listRecords(context.state)) {
    const found = archives
      .filter(isKept)
      .find((each) => (where === 'node' ? each.nodeFile === file : each.info.uri === uri));
    if (found) return found;
  }
  return undefined;
}

/**
 * Opens an archive of this node or of the repository. On this node only what it has a record of is opened, so that nothing
 * else in that folder is read under its name. Of an archive in the repository that this node has made, its own copy is read.
 *
 * @throws InvalidArgument, ArchiveNotFound, ArtifactInvalid (no regular file), RepositoryUnavailable
 */
export async function openArchive(context: Context, uri: string): Promise<OpenedArchive> {
  const { file, where } = parseArchiveUri(uri);
  const recorded = recordedArchive(context, uri);
  if (where === 'node' && !recorded) {
    throw new LpmError('ArchiveNotFound', `Node ${context.nodeName} has no archive ${uri}.`);
  }
  if (recorded) {
    try {
      const opened = await openPlainFile(archiveFile(context.host, recorded.nodeFile));
      return { bytes: contentsOf(opened.file), size: opened.stat.size };
    } catch (error) {
      if (where === 'node') throw error;
    }
  }
  return context.archives.repository.open(file);
}

/**
 * The same bytes, and an error at their end when they are not what they should be. Whoever uses them before the end must be
 * able to take it back.
 *
 * @throws ArtifactInvalid while it is read
 */
export async function* verified(
  bytes: AsyncIterable<Uint8Array>,
  expected: { sha256: Uint8Array; size?: number },
  what: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const piece of bytes) {
    hash.update(piece);
    size += piece.length;
    if (expected.size !== undefined && size > expected.size) break;
    yield piece;
  }
  if (expected.size !== undefined && size !== expected.size) {
    throw new LpmError(
      'ArtifactInvalid',
      `${what} does not have the ${expected.size} bytes that it should have.`,
    );
  }
  if (!hash.digest().equals(expected.sha256)) {
    throw new LpmError('ArtifactInvalid', `${what} is not what it was: its SHA-256 differs.`);
  }
}
