import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Each of the two parts of a log that is longer than both. */
const PART_BYTES = 4 * 1024 * 1024;

/**
 * The text of a log; empty when there is none. CRIU bounds no log: one that read a damaged image in a loop wrote 400 MB in a
 * minute. Of a log beyond 8 MiB only the beginning, where the cause stands, and the end are read.
 */
export function readLogFile(file: string, partBytes = PART_BYTES): string {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return '';
  }
  try {
    const { size } = fstatSync(fd);
    if (size <= 2 * partBytes) return readPart(fd, 0, size);
    const note = `\n(${size - 2 * partBytes} bytes are left out here)\n`;
    return readPart(fd, 0, partBytes) + note + readPart(fd, size - partBytes, partBytes);
  } finally {
    closeSync(fd);
  }
}

function readPart(fd: number, from: number, length: number): string {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const read = readSync(fd, buffer, done, length - done, from + done);
    if (read === 0) break;
    done += read;
  }
  return buffer.subarray(0, done).toString('utf8');
}
