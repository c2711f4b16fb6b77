import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { LpmError, messageOf } from '../../common/errors.js';
import type { Host } from '../host.js';
import { syncPath } from '../state.js';
import { NODE_FOLDER } from './names.js';
import type { FileChange } from './plan.js';

/**
 * Files of the node, read and written so that a crash leaves each whole. Paths are the node's; links on the way are followed by
 * the node itself, for from here an absolute one would lead into the agent's own container.
 */
export class NodeFiles {
  constructor(private readonly host: Host) {}

  /** The path without links, as a path of this process. */
  async here(path: string): Promise<string> {
    // What is not there yet is added to the part that is (readlink -m would follow links too, but busybox has none).
    const missing: string[] = [];
    for (let at = path; at !== '/'; at = dirname(at)) {
      const { code, stdout } = await this.host.run(['readlink', '-f', at]);
      const real = stdout.trim();
      if (code === 0 && real && existsSync(this.host.path(real))) {
        return this.host.path(join(real, ...missing));
      }
      missing.unshift(basename(at));
    }
    return this.host.path(path);
  }

  /** undefined: there is no such file. */
  async read(path: string): Promise<string | undefined> {
    try {
      return readFileSync(await this.here(path), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw unusable(path, error);
    }
  }

  /** Names in a folder, sorted; none when there is no such folder. */
  async names(path: string): Promise<string[]> {
    try {
      return readdirSync(await this.here(path)).sort();
    } catch {
      return [];
    }
  }

  async isFile(path: string): Promise<boolean> {
    try {
      return statSync(await this.here(path)).isFile();
    } catch {
      return false;
    }
  }

  /** Writes a text file with the mode and owner of the one that was there. Answers the folders that had to be made. */
  async write(path: string, text: string, mode = 0o644): Promise<string[]> {
    const file = await this.here(path);
    try {
      const made = makeFolders(dirname(file));
      const before = existsSync(file) ? statSync(file) : undefined;
      // CRI-O reads every file of its folder, whatever its name: a half-written one must not lie there.
      const temporary = join(dirname(dirname(file)), `.${basename(file)}.lpm-${process.pid}`);
      const fd = openSync(temporary, 'w', before?.mode ?? mode);
      try {
        writeSync(fd, text);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      chmodSync(temporary, before ? before.mode & 0o7777 : mode);
      if (before) chownSync(temporary, before.uid, before.gid);
      renameSync(temporary, file);
      syncPath(dirname(file));
      return made.map((folder) => folder.slice(this.host.path('').length));
    } catch (error) {
      throw unusable(path, error);
    }
  }

  /**
   * Copies files of this process's to the node, with their permissions; one that runs keeps its old contents. All are written first
   * and put in their places then, in their order, within a millisecond or two: a program that is started meanwhile must not find
   * the one half of its libraries new and the other old.
   */
  async install(all: readonly { from: string; to: string }[]): Promise<void> {
    const written: { file: string; temporary: string }[] = [];
    for (const { from, to } of all) {
      const file = await this.here(to);
      const temporary = `${file}.lpm-new`;
      try {
        makeFolders(dirname(file));
        copyFileSync(from, temporary);
        chmodSync(temporary, statSync(from).mode & 0o7777);
        syncPath(temporary);
      } catch (error) {
        throw unusable(to, error);
      }
      written.push({ file, temporary });
    }
    try {
      for (const { file, temporary } of written) renameSync(temporary, file);
      for (const folder of new Set(written.map(({ file }) => dirname(file)))) syncPath(folder);
    } catch (error) {
      throw unusable(NODE_FOLDER, error);
    }
  }

  async remove(path: string): Promise<void> {
    const file = await this.here(path);
    if (!existsSync(file)) return;
    try {
      rmSync(file, { force: true });
      syncPath(dirname(file));
    } catch (error) {
      throw unusable(path, error);
    }
  }

  /** Removes a folder that holds nothing any more. */
  async removeEmpty(path: string): Promise<void> {
    try {
      rmdirSync(await this.here(path));
    } catch {
      // Somebody else's files lie there, or it is gone.
    }
  }

  /** Makes changes in their order. Answers the folders that had to be made. */
  async apply(changes: readonly FileChange[]): Promise<string[]> {
    const made: string[] = [];
    for (const { path, after } of changes) {
      if (after === undefined) await this.remove(path);
      else made.push(...(await this.write(path, after)));
    }
    return made;
  }
}

/** Answers the folders that were not there, the outermost first. */
function makeFolders(folder: string): string[] {
  const made: string[] = [];
  for (let at = folder; !existsSync(at); at = dirname(at)) made.unshift(at);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  for (const each of made) syncPath(dirname(each));
  return made;
}

function unusable(path: string, cause: unknown): LpmError {
  return new LpmError('RuntimeNotSupported', `${path} on this node cannot be used: ${messageOf(cause)}.`, {
    hint: 'Where the system is read-only, set the node up by hand (agent/NODE-SETUP.md).',
    cause,
  });
}
