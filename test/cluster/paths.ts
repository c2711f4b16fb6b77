import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's own folder, with a slash at its end. */
export const repository = fileURLToPath(new URL('../../', import.meta.url));

/** What is expensive to make and the same for every cluster: node root, test images, compiled helpers. */
export const cacheDir = process.env.LPM_CACHE_DIR ?? `${repository}.cache`;

/** Eight letters that tell the cgroups and sockets of one cluster directory from those of another. */
export function shortHash(directory: string): string {
  return createHash('sha256').update(resolve(directory)).digest('hex').slice(0, 8);
}
