import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { syncPath, writeDurably } from '../state.js';
import type { FileChange } from './plan.js';
import type { RestartWay } from './restart-way.js';

/** Names one process of this boot. */
export interface ProcessId {
  pid: number;
  startTime: string;
  bootId: string;
}

/** What the set-up has made on the node, so that it can be taken away. */
export interface SetUpRecord {
  /** Files that are ours: paths on the node. */
  files: string[];
  /** Folders that were not there before us. */
  folders: string[];
  /** The runtime's process that ran when its files were changed last: as long as it runs, it does not know of them. */
  changedUnder?: ProcessId | undefined;
  /** An attempt that was taken back: it is not repeated as long as everything is as it was then. */
  failed?: { key: string; message: string } | undefined;
}

/** Changes of the runtime's files that are being made: whoever finds this after a crash takes them back. */
export interface Journal {
  changes: FileChange[];
  folders: string[];
  process: ProcessId;
  /** The node's path of the runtime's socket, which is gone while nobody listens. */
  socket: string;
  /** How that process was to be restarted. */
  way: RestartWay;
  /** The runtime was told to restart, or was about to be. */
  restarting: boolean;
}

export const sameProcess = (a: ProcessId | undefined, b: ProcessId): boolean =>
  a !== undefined && a.pid === b.pid && a.startTime === b.startTime && a.bootId === b.bootId;

/** The set-up's own files below the agent's state folder. */
export class SetUpState {
  readonly folder: string;

  constructor(stateRoot: string) {
    this.folder = join(stateRoot, 'node-setup');
  }

  read(): SetUpRecord {
    return this.json<SetUpRecord>('record.json') ?? { files: [], folders: [] };
  }

  write(record: SetUpRecord): void {
    this.put('record.json', record);
  }

  journal(): Journal | undefined {
    return this.json<Journal>('journal.json');
  }

  begin(journal: Journal): void {
    this.put('journal.json', journal);
  }

  end(): void {
    rmSync(join(this.folder, 'journal.json'), { force: true });
    syncPath(this.folder);
  }

  /** Forgets everything: nothing of ours is left on the node. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private put(name: string, value: unknown): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    writeDurably(join(this.folder, name), `${JSON.stringify(value, null, 2)}\n`);
  }

  private json<T>(name: string): T | undefined {
    try {
      return JSON.parse(readFileSync(join(this.folder, name), 'utf8')) as T;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
