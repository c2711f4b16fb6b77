import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LpmError } from '../../common/errors.js';
import { ArchiveInfo, CheckpointResult } from '../../proto/gen/lpm/v1/agent.js';
import { isUid, type CheckedPod } from '../names.js';
import { writeDurably, type StateDir } from '../state.js';

/**
 * archives/<checkpoint UID>.json: what this node does and has done to keep the archives of one checkpoint. Written durably
 * before anything gets a final name, and before anybody is answered: who asks again finds the result.
 */
export interface ArchiveRecord {
  version: 1;
  checkpointUid: string;
  clusterUid: string;
  pod: CheckedPod;
  nodeName: string;
  /** One for each container. */
  archives: RecordedArchive[];
  /** What was answered; absent while archives are still to come. */
  result?: CheckpointResult;
  /** When the last of the archives was removed, ISO 8601: the checkpoint is over, and is not made anew. */
  removedAt?: string;
}

export interface RecordedArchive {
  container: string;
  /** Its name in the kubelet's folder, planned or real. */
  nodeFile: string;
  /** Its name in the repository; it is there when `info.uri` says so. */
  repositoryFile: string;
  /** The file in the kubelet's folder was made by the kubelet itself, under that name. */
  byKubelet: boolean;
  /** What it is; absent while it is written. */
  info?: ArchiveInfo;
  /** When it got its final name, ISO 8601. */
  since?: string;
}

export type KeptArchive = RecordedArchive & Required<Pick<RecordedArchive, 'info' | 'since'>>;

export const isKept = (archive: RecordedArchive): archive is KeptArchive => archive.info !== undefined;

/** @throws ArtifactInvalid when it is there and cannot be read */
export function readRecord(state: StateDir, checkpointUid: string): ArchiveRecord | undefined {
  return parse(state.archiveRecord(checkpointUid));
}

function parse(file: string): ArchiveRecord | undefined {
  try {
    const json = JSON.parse(readFileSync(file, 'utf8')) as ArchiveRecord;
    return {
      ...json,
      archives: json.archives.map((each) => ({
        ...each,
        ...(each.info ? { info: ArchiveInfo.fromJSON(each.info) } : {}),
      })),
      ...(json.result ? { result: CheckpointResult.fromJSON(json.result) } : {}),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new LpmError('ArtifactInvalid', `${file} cannot be read.`, { cause: error });
  }
}

export function writeRecord(state: StateDir, record: ArchiveRecord): void {
  const json = {
    ...record,
    archives: record.archives.map((each) => ({
      ...each,
      ...(each.info ? { info: ArchiveInfo.toJSON(each.info) } : {}),
    })),
    ...(record.result ? { result: CheckpointResult.toJSON(record.result) } : {}),
  };
  writeDurably(state.archiveRecord(record.checkpointUid), JSON.stringify(json));
}

export function dropRecord(state: StateDir, checkpointUid: string): void {
  rmSync(state.archiveRecord(checkpointUid), { force: true });
}

/** All records that can be read; `onBad` is told of the others. */
export function listRecords(state: StateDir, onBad: (error: unknown) => void = () => {}): ArchiveRecord[] {
  const found: ArchiveRecord[] = [];
  for (const name of readdirSync(state.archivesRoot)) {
    if (!name.endsWith('.json') || !isUid(name.slice(0, -'.json'.length))) continue;
    try {
      const record = parse(join(state.archivesRoot, name));
      if (record) found.push(record);
    } catch (error) {
      onBad(error);
    }
  }
  return found;
}
