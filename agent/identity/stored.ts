/** The agent's identity in a file that outlives its process, so that it serves at once when it starts again, whoever is away then. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { flawOf, type Identity } from '../../common/identity/identity.js';
import { writeDurably } from '../state.js';

/** Key, certificate and authorities in one file: so they are of one moment. */
const FILE = 'identity.json';

export function readStored(folder: string): Identity | undefined {
  try {
    const { cert, key, ca } = JSON.parse(readFileSync(join(folder, FILE), 'utf8')) as Identity;
    const identity = { cert, key, ca };
    return flawOf(identity) ? undefined : identity;
  } catch {
    // Not there, or not whole: another one is asked for.
    return undefined;
  }
}

export function writeStored(folder: string, identity: Identity): void {
  writeDurably(join(folder, FILE), `${JSON.stringify(identity)}\n`);
}

export function removeStored(folder: string): void {
  rmSync(join(folder, FILE), { force: true });
}
