import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isRunning, recordProcess, type ProcessRecord } from './processes.js';

/**
 * Keeps two commands from working on the same thing at once: waits while another holds the lock, and takes over one
 * whose holder has died. Answers how to give it back.
 */
export async function takeLock(file: string, say: (line: string) => void): Promise<() => void> {
  const own = JSON.stringify(recordProcess(process.pid));
  let said = false;
  for (;;) {
    if (create(file, own)) {
      return () => {
        if (read(file) === own) rmSync(file, { force: true });
      };
    }
    const content = read(file);
    // Given back meanwhile.
    if (content === undefined) continue;
    const holder = parse(content);
    if (!holder || !isRunning(holder)) {
      removeStale(file, content);
      continue;
    }
    if (!said && holder.pid !== process.pid)
      say(`waiting for process ${holder.pid}, which is at work on ${file.replace(/\.?lock$/, '')}`);
    said = true;
    await delay(200);
  }
}

/**
 * Makes the file with its content in one step: one that is made first and written then looks, for a moment, like one
 * whose holder nobody knows. False when it is there already.
 */
function create(file: string, content: string): boolean {
  // The folder goes with the cluster that the command before this one took down.
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}-${randomUUID()}`;
  writeFileSync(draft, content);
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Removes the lock of one who died, but not that of another who has just done the same and taken it. */
function removeStale(file: string, content: string): void {
  const aside = `${file}.${process.pid}-${randomUUID()}`;
  try {
    renameSync(file, aside);
    if (read(aside) !== content) linkSync(aside, file);
  } catch {
    // Somebody else was faster.
  } finally {
    rmSync(aside, { force: true });
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function parse(text: string): ProcessRecord | undefined {
  try {
    return JSON.parse(text) as ProcessRecord;
  } catch {
    return undefined;
  }
}
