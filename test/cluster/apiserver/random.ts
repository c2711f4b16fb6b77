import { randomInt, randomUUID } from 'node:crypto';

/** The letters that Kubernetes makes names of: no vowels, no digits that look like letters. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

export function randomSuffix(length = 5): string {
  let text = '';
  for (let i = 0; i < length; i++) text += alphabet[randomInt(alphabet.length)];
  return text;
}

export const newUid = (): string => randomUUID();
