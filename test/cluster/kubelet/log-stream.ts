import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { LogRenderer, parseLogLine, tailOffset, type LogFilter } from './log-format.js';

export interface LogOptions extends LogFilter {
  tailLines?: number;
  limitBytes?: number;
  follow?: boolean;
}

/** How often a followed file is looked at for more. */
const pollMs = 100;

/**
 * Reads a container's log. With `follow` it ends when `running` says no and everything is read, or by the signal.
 */
export async function* readLog(
  path: string,
  options: LogOptions,
  running: () => Promise<boolean>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const file = await openWhenThere(path, options.follow ? running : async () => false, signal);
  if (!file) return;
  const renderer = new LogRenderer(options);
  let left = options.limitBytes ?? Infinity;
  try {
    let position = options.tailLines === undefined ? 0 : await tailStart(file, options.tailLines);
    let rest = Buffer.alloc(0);
    const chunk = Buffer.alloc(64 << 10);
    for (;;) {
      // Asked before reading: what was written before the container ended is then certainly read.
      const more = options.follow ? await running() : false;
      for (;;) {
        const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
        if (bytesRead === 0) break;
        position += bytesRead;
        const data = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
        const end = data.lastIndexOf(0x0a) + 1;
        rest = Buffer.from(data.subarray(end));
        let text = '';
        for (const line of data.subarray(0, end).toString('utf8').split('\n')) {
          const entry = line && parseLogLine(line);
          if (entry) text += renderer.render(entry);
        }
        if (text === '') continue;
        const bytes = Buffer.from(text);
        yield bytes.length > left ? bytes.subarray(0, left).toString('utf8') : text;
        left -= bytes.length;
        if (left <= 0) return;
      }
      if (signal.aborted || !more) return;
      await delay(pollMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    await file.close();
  }
}

async function openWhenThere(
  path: string,
  wait: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<FileHandle | undefined> {
  while (!signal.aborted) {
    try {
      return await open(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      if (!(await wait())) return undefined;
    }
    await delay(pollMs);
  }
  return undefined;
}

/** Reads backwards in growing pieces, so that the end of a large log is found quickly. */
async function tailStart(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat();
  for (let piece = 64 << 10; ; piece *= 4) {
    const from = Math.max(0, size - piece);
    const buffer = Buffer.alloc(size - from);
    await file.read(buffer, 0, buffer.length, from);
    const offset = tailOffset(buffer, lines);
    // At the very start of the piece the first line may be cut: a larger piece is needed, if there is one.
    if (from === 0 || offset > 0) return from + offset;
  }
}
