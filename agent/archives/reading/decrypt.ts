import { decrypt, readKeys } from '../age.js';
import type { ArchiveSettings } from '../settings.js';
import type { Decrypt } from './decode.js';

/**
 * Decrypts with the identities that this agent was set up with. They are read when an archive needs one, so that what is not
 * encrypted is read by an agent that has none, or whose file is broken.
 */
export function decryptWith({ identitiesFile }: Pick<ArchiveSettings, 'identitiesFile'>): Decrypt {
  return async function* (source) {
    yield* decrypt(source, await readKeys(identitiesFile, 'identities'));
  };
}
