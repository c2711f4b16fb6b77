/**
 * Which authority signs and which ones are believed. One is replaced by overlap: its successor is published first, signs when
 * everybody has heard of it, and the old one is believed until it ends, and with it all that it has signed.
 */
import { X509Certificate } from 'node:crypto';
import { SKEW_MS, type KeyPair } from './certificates.js';

export interface Authorities {
  /** Signs. */
  current?: KeyPair;
  /** Is believed already, and signs next. */
  next?: KeyPair;
  /** Believed until they end; their keys are gone. PEM each. */
  old: readonly string[];
}

/** Where the authorities are kept. */
export interface AuthoritySource {
  /** As they are now. */
  read(): Promise<Authorities>;
}

export interface AuthorityTimes {
  /** Of an authority. */
  lifetimeMs: number;
  /** From publishing an authority until it signs: longer than any program takes to hear of it. */
  overlapMs: number;
}

/** A successor is made when so much of an authority's life is over. */
const RENEW_AT = 2 / 3;

/** What is to be done to the authorities now. */
export type Step =
  /** There is none: make one. */
  | 'create'
  /** Make the successor and publish it. */
  | 'prepare'
  /** Let the successor sign. */
  | 'switch'
  /** Forget those that have ended. */
  | 'prune'
  | 'keep';

/** `asked`: somebody wants a new authority before it is time. */
export function nextStep(
  { current, next, old }: Authorities,
  { overlapMs }: Pick<AuthorityTimes, 'overlapMs'>,
  now: number,
  asked = false,
): Step {
  if (!current) return 'create';
  const [begin, end] = lifeOf(current.cert);
  const over = end <= now;
  if (next) {
    if (over || now >= lifeOf(next.cert)[0] + overlapMs) return 'switch';
  } else if (over) {
    // Nothing that it signed is valid any more, so nobody loses anything by believing in another one at once.
    return 'create';
  } else if (asked || now >= begin + (end - begin) * RENEW_AT) return 'prepare';
  return old.some((cert) => lifeOf(cert)[1] <= now) ? 'prune' : 'keep';
}

/** The authorities after a step; `made` is a new one, for the steps that need it. */
export function afterStep(authorities: Authorities, step: Step, now: number, made?: KeyPair): Authorities {
  const { current, next } = authorities;
  const old = authorities.old.filter((cert) => lifeOf(cert)[1] > now);
  switch (step) {
    case 'create':
      return { current: made!, old };
    case 'prepare':
      return { current: current!, next: made!, old };
    case 'switch':
      return { current: next!, old: lifeOf(current!.cert)[1] > now ? [...old, current!.cert] : old };
    case 'prune':
      return { ...authorities, old };
    case 'keep':
      return authorities;
    default:
      return step satisfies never;
  }
}

/** What is published: every authority that is believed, PEM. */
export const bundleOf = ({ current, next, old }: Authorities): string =>
  [current?.cert, next?.cert, ...old]
    .filter((cert) => cert !== undefined)
    .map((cert) => `${cert.trim()}\n`)
    .join('');

/** When it was made, and when it ends. */
function lifeOf(cert: string): [begin: number, end: number] {
  const { validFrom, validTo } = new X509Certificate(cert);
  return [Date.parse(validFrom) + SKEW_MS, Date.parse(validTo)];
}
