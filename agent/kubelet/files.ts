import { readdirSync, readFileSync } from 'node:fs';
import { messageOf } from '../../common/errors.js';
import type { Host } from '../host.js';

/** Text of a file, or why there is none. */
export type Read = { text: string } | { problem: string };

/** A file in the agent's own root (a Secret may be mounted there), else on the node. */
export function readEither(host: Host, path: string): Read {
  let first: unknown;
  for (const place of new Set([path, host.path(path)])) {
    try {
      return { text: readFileSync(place, 'utf8') };
    } catch (error) {
      // A file that is there and may not be read says more than one that is not there.
      if (first === undefined || (error as NodeJS.ErrnoException).code !== 'ENOENT') first = error;
    }
  }
  const missing = (first as NodeJS.ErrnoException).code === 'ENOENT';
  return { problem: missing ? `there is no ${path}` : `${path} cannot be read: ${messageOf(first)}` };
}

/** Names in a folder, in order; none when there is no such folder. */
export function listEither(host: Host, folder: string): string[] {
  for (const place of new Set([folder, host.path(folder)])) {
    try {
      return readdirSync(place).sort();
    } catch {
      // Perhaps in the other root.
    }
  }
  return [];
}
