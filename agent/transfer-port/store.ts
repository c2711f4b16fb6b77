import type { Readable } from 'node:stream';
import type { ArchiveSource, ContainerArtifact } from '../../proto/gen/lpm/v1/agent.js';
import type { Transfer } from './transfers.js';

/** What the transfer port needs of the archives on this node. */
export interface ArchiveStore {
  /**
   * The bytes of an archive as they lie there.
   *
   * @throws CheckpointNotFound, ArtifactInvalid
   */
  read(source: ArchiveSource, signal: AbortSignal): Promise<Readable>;
  /** What an archive says of itself (lpm.json), as JSON; undefined when there is nothing of ours in it. */
  manifest(source: ArchiveSource): Promise<string | undefined>;
  /** A path for an upload, on the file system on which it will be kept, with room for so many bytes. @throws NoSpace */
  placeFor(transfer: Transfer, source: ArchiveSource): Promise<string>;
  /**
   * Takes an upload that has the announced size and hash: reads it as a restore would, and gives it its place. The file is
   * gone from where it was, also after a failure.
   *
   * @throws ArtifactInvalid
   */
  keep(file: string, transfer: Transfer, source: ArchiveSource): Promise<ContainerArtifact>;
  /** Every archive of an import is kept: from here on it is the checkpoint's, also after a restart. */
  finish(transfer: Transfer, artifacts: ContainerArtifact[]): void;
  /** What was kept for an import that was finished before; undefined when it was not. */
  finished(transferUid: string): ContainerArtifact[] | undefined;
  /** An import is over before everything came: what was kept of it goes. */
  drop(transferUid: string): Promise<void>;
}
