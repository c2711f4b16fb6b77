/** The flags about certificates. */
import { parseDuration } from '../../common/duration.js';
import { SIGNER_PORT } from '../../common/api/names.js';
import type { AuthorityTimes } from './authorities.js';

export interface IdentityFlags {
  tlsDir: string;
  caDir: string;
  signerListen: string;
  /** As they were given; certificateTimes() reads them. */
  certificateLifetime: string;
  caLifetime: string;
  caOverlap: string;
}

export const identityFlags = {
  'tls-dir': {
    type: 'string',
    default: '/etc/lpm/tls',
    describe:
      'Folder with tls.crt, tls.key and ca.crt for the agents; without them the controller makes its own',
  },
  'ca-dir': {
    type: 'string',
    default: '',
    describe: 'Folder with tls.crt and tls.key of an authority that signs, in place of one of our own',
  },
  'signer-listen': {
    type: 'string',
    default: `0.0.0.0:${SIGNER_PORT}`,
    describe: 'Address at which agents ask for certificates',
  },
  'certificate-lifetime': {
    type: 'string',
    default: '24h',
    describe: 'How long the certificates of controller and agents are valid; they are renewed at two thirds',
  },
  'ca-lifetime': {
    type: 'string',
    default: '8760h',
    describe: 'The same for the authority',
  },
  'ca-overlap': {
    type: 'string',
    default: '1h',
    describe: 'How long a new authority is published before it signs',
  },
} as const;

/** Throws Error with a sentence when the times do not fit together. */
export function certificateTimes(
  flags: Pick<IdentityFlags, 'certificateLifetime' | 'caLifetime' | 'caOverlap'>,
): AuthorityTimes & { certificateMs: number } {
  const certificateMs = milliseconds('certificate-lifetime', flags.certificateLifetime);
  const lifetimeMs = milliseconds('ca-lifetime', flags.caLifetime);
  const overlapMs = milliseconds('ca-overlap', flags.caOverlap);
  if (certificateMs < 10_000) {
    throw new Error('--certificate-lifetime must be 10s or more: there must be time to renew.');
  }
  if (lifetimeMs < 3_600_000) throw new Error('--ca-lifetime must be 1h or more.');
  // The last third of an authority's life is left for its successor, and for what it has signed.
  if (lifetimeMs / 3 < overlapMs + certificateMs) {
    throw new Error(
      '--ca-lifetime must be three times --ca-overlap and --certificate-lifetime together, or more.',
    );
  }
  return { certificateMs, lifetimeMs, overlapMs };
}

function milliseconds(name: string, text: string): number {
  const ms = parseDuration(text);
  if (!ms) throw new Error(`--${name} ${text} is not a duration such as 24h or 30m.`);
  return ms;
}
