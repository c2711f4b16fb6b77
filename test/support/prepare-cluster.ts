/**
 * For test/run.mjs: makes what local clusters are made of (Debian roots, images, a disk of containerd's with them) while the tests that
 * need none run, behind these. Whoever wants it before it is there waits for it, or makes it; so nothing depends on how this ends.
 */
import { setPriority } from 'node:os';
import { messageOf } from '../../common/errors.js';
import { clusterParts } from '../cluster/cluster-parts.js';

if (process.getuid?.() === 0) {
  setPriority(10);
  const say = (line: string): void => console.error(`For the local clusters: ${line}`);
  await clusterParts(false, say)
    .then(() => clusterParts(true, say))
    .catch((error: unknown) => say(messageOf(error)));
}
