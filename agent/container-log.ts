import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { LpmError, messageOf } from '../common/errors.js';

/** How long the log's size must stay the same before it counts as complete, and how long to wait for that at most. */
const QUIET_MS = 40;
const PATIENCE_MS = 500;

/**
 * Copies a frozen container's current log. What the process wrote last may still be on its way through two pipes (process →
 * shim or conmon → log), and no call tells from outside when they are empty; they are drained by processes that are not
 * frozen, so the log has them all once it stops growing. A last line without newline stays in the runtime: it is written
 * only when the line or the container ends. The dump takes longer than this waiting.
 *
 * @param source path of the log on the node, as this process sees it; nothing is copied when there is none
 */
export async function copyQuietLog(source: string, target: string): Promise<void> {
  const sizeOf = async (): Promise<number> => (await stat(source).catch(() => ({ size: -1 }))).size;
  const end = performance.now() + PATIENCE_MS;
  let size = await sizeOf();
  if (size < 0) return;
  let quietSince = performance.now();
  while (performance.now() < end && performance.now() - quietSince < QUIET_MS) {
    await delay(3);
    const now = await sizeOf();
    if (now !== size) quietSince = performance.now();
    size = now;
  }
  await copyFile(source, target);
}

/**
 * Puts the earlier lines into the log of a container that has not executed anything yet. The runtime has the file open for
 * appending, so what the container writes later follows them. Done again (after a crash in between), it replaces what it
 * wrote the first time.
 */
export async function writeEarlierLog(history: string, log: string): Promise<void> {
  try {
    // In pieces, and into the file that is there: the runtime has it open.
    await pipeline(createReadStream(history), createWriteStream(log, { mode: 0o640 }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new LpmError('StageFailed', `The container's log ${log} cannot be written: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}
