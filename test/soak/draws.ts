/** Numbers that look random and are the same for the same seed: a run that went wrong can be played again. */
import { createHash } from 'node:crypto';

/** Each call answers the next number, from 0 up to but not including 1. */
export function draws(seed: number): () => number {
  let drawn = 0;
  return () => createHash('sha256').update(`${seed} ${drawn++}`).digest().readUInt32BE(0) / 2 ** 32;
}

export const newSeed = (): number => Math.floor(Math.random() * 1_000_000);
