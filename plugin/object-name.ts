import { randomInt } from 'node:crypto';

// The alphabet of Kubernetes' generateName: no vowels, so no words, and nothing that is mistaken for another.
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX = 5;
/** Labels and many tools take no longer names. */
const LONGEST = 63;

/** A name for an object about a pod: `<pod>-<5 random>`, made here so that it can be told before the server answers. */
export function nameFor(pod: string, random: (bound: number) => number = randomInt): string {
  let suffix = '';
  for (let i = 0; i < SUFFIX; i++) suffix += ALPHABET[random(ALPHABET.length)] ?? '';
  const base = pod.slice(0, LONGEST - SUFFIX - 1).replace(/[-.]+$/, '');
  return `${base}-${suffix}`;
}
