import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LpmError } from '../common/errors.js';
import { writeDurably } from './state.js';

/** restore.json of a target pod: which migration its state belongs to, and what has been done for it. */
export interface RestoreRecord {
  restoreUid: string;
  checkpointUid: string;
  containerNames: string[];
  staged: boolean;
  bytes: number;
}

const FILE = 'restore.json';

export function readRestoreRecord(podDir: string): RestoreRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(podDir, FILE), 'utf8')) as RestoreRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new LpmError('ArtifactInvalid', `${podDir}/${FILE} cannot be read.`, { cause: error });
  }
}

export function writeRestoreRecord(podDir: string, record: RestoreRecord): void {
  writeDurably(join(podDir, FILE), JSON.stringify(record));
}
