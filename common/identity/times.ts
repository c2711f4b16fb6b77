/** When a certificate is renewed. */
import type { X509Certificate } from 'node:crypto';

/** A certificate is renewed when so much of its life is over; the last tenth before is random, so that not all come at once. */
const RENEW_AT = 2 / 3;
const JITTER = 0.1;

/** Milliseconds since 1970. `random` is from 0 to 1. */
export function renewalTime(
  { validFrom, validTo }: Pick<X509Certificate, 'validFrom' | 'validTo'>,
  random: number,
): number {
  const from = Date.parse(validFrom);
  return from + (Date.parse(validTo) - from) * (RENEW_AT - JITTER * random);
}

/** Milliseconds since 1970. */
export const endOf = ({ validTo }: Pick<X509Certificate, 'validTo'>): number => Date.parse(validTo);
