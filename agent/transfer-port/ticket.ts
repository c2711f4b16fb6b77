import { createHash, timingSafeEqual } from 'node:crypto';

/** A ticket as its holder shows it: 32 random bytes in hex. */
const BEARER = /^Bearer ([0-9a-f]{64})$/;

/** The ticket in an Authorization header, or undefined when there is none of its form. */
export function ticketIn(authorization: string | undefined): string | undefined {
  return BEARER.exec(authorization ?? '')?.[1];
}

/** True for the ticket that has this SHA-256. Takes the same time whatever differs, also when nothing is expected. */
export function opens(ticket: string, expectedSha256: Uint8Array | undefined): boolean {
  const digest = createHash('sha256').update(ticket).digest();
  // A ticket that nobody was given: its hash is never met, and comparing with it takes as long as with a real one.
  return timingSafeEqual(digest, expectedSha256 ?? NOBODYS);
}

const NOBODYS = Buffer.alloc(32);
