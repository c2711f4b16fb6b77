import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { checkLabel, checkUid } from './names.js';

/**
 * Paths below the state directory, as PROTOCOL.md describes them. Every name that becomes a path is checked here.
 */
export class StateDir {
  /** @param root absolute, usually /var/lib/lpm; the runtime handler is told of another one by etc/state-dir */
  constructor(readonly root: string) {
    mkdirSync(join(root, 'artifacts'), { recursive: true, mode: 0o700 });
    mkdirSync(join(root, 'pods'), { recursive: true, mode: 0o700 });
    mkdirSync(join(root, 'logs'), { recursive: true, mode: 0o700 });
    mkdirSync(join(root, 'archives'), { recursive: true, mode: 0o700 });
  }

  get artifactsRoot(): string {
    return join(this.root, 'artifacts');
  }
  /** A finished checkpoint. */
  artifacts(checkpointUid: string): string {
    return join(this.root, 'artifacts', checkUid(checkpointUid, 'checkpoint UID').toLowerCase());
  }
  /** The same checkpoint while it is made. */
  partialArtifacts(checkpointUid: string): string {
    return `${this.artifacts(checkpointUid)}.partial`;
  }
  /** The same checkpoint while it is removed: what is half removed must not be taken for a checkpoint. */
  discardedArtifacts(checkpointUid: string): string {
    return `${this.artifacts(checkpointUid)}.discarded`;
  }
  get archivesRoot(): string {
    return join(this.root, 'archives');
  }
  /** What is known of the archives of a checkpoint. */
  archiveRecord(checkpointUid: string): string {
    return join(this.archivesRoot, `${checkUid(checkpointUid, 'checkpoint UID').toLowerCase()}.json`);
  }
  get logsRoot(): string {
    return join(this.root, 'logs');
  }
  /** Logs of a checkpoint or a restore, kept when what they are about is gone. */
  logs(uid: string): string {
    return join(this.root, 'logs', checkUid(uid, 'UID').toLowerCase());
  }
  /** Says that the source of this checkpoint was thawed for good. */
  thawedMark(checkpointUid: string): string {
    return `${this.artifacts(checkpointUid)}.thawed`;
  }
  pod(podUid: string): string {
    return join(this.root, 'pods', checkUid(podUid, 'pod UID').toLowerCase());
  }
  container(podUid: string, name: string): string {
    return join(this.pod(podUid), 'containers', checkLabel(name, 'container name'));
  }
}

/** Makes what was written to a file or folder survive a crash. */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes a file so that it is there whole or not at all, also after a crash. */
export function writeDurably(file: string, content: string): void {
  const temporary = writeTemporary(file, content);
  renameSync(temporary, file);
  syncPath(dirname(file));
}

/**
 * Makes a file only if there is none of its name: link(2) fails for all but one, and the file appears with its whole,
 * synced contents. Answers false when there was one already.
 */
export function createOnce(file: string, content: string): boolean {
  const temporary = writeTemporary(file, content);
  try {
    linkSync(temporary, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
    syncPath(dirname(file));
  }
}

function writeTemporary(file: string, content: string): string {
  const temporary = join(dirname(file), `.${randomBytes(8).toString('hex')}.tmp`);
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return temporary;
}

/** Reads a file of lines "key value", as the handler writes them; undefined when there is none. */
export function readFields(file: string): Record<string, string> | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const fields: Record<string, string> = {};
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const space = line.indexOf(' ');
      if (space > 0) fields[line.slice(0, space)] = line.slice(space + 1);
    }
    return fields;
  } catch {
    return undefined;
  }
}
