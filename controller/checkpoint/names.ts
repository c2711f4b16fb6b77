/** Names of what a checkpoint consists of. The same every time, so that what was made before is found again. */
import { createHash } from 'node:crypto';
import { GROUP } from '../../common/api/names.js';

/** On a content: UID of the checkpoint operation under which the agent holds the artifact. */
export const CHECKPOINT_UID_ANNOTATION = `${GROUP}/checkpoint-uid`;

/** Longest name of an object (a DNS-1123 subdomain). */
const MAX_NAME = 253;
const HASH_LENGTH = 10;

/** Of a content that we make: nobody can make another of that name while it exists. */
export const podContentName = (uid: string) => `podcheckpointcontent-${uid}`;
export const containerContentName = (uid: string) => `containercheckpointcontent-${uid}`;

/** `<podcheckpoint>-<container>`; of one that would be too long the end is replaced by a hash of the whole. */
export function childName(podCheckpoint: string, container: string): string {
  const name = `${podCheckpoint}-${container}`;
  if (name.length <= MAX_NAME) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_LENGTH);
  // A label of a name ends with a letter or a digit.
  return `${name.slice(0, MAX_NAME - HASH_LENGTH - 1).replace(/[-.]+$/, '')}-${hash}`;
}
