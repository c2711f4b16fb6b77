import { readFileSync, rmSync, writeFileSync } from 'node:fs';
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
    try {
      writeFileSync(file, own, { flag: 'wx' });
      return () => {
        if (read(file) === own) rmSync(file, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = parse(read(file));
    if (!holder || !isRunning(holder)) {
      rmSync(file, { force: true });
      continue;
    }
    if (!said && holder.pid !== process.pid)
      say(`waiting for process ${holder.pid}, which is at work on ${file.replace(/\.?lock$/, '')}`);
    said = true;
    await delay(200);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function parse(text: string): ProcessRecord | undefined {
  try {
    return JSON.parse(text) as ProcessRecord;
  } catch {
    return undefined;
  }
}
