/** What a program shows to others and whom it believes, and where it has that from. */
import { createPrivateKey, X509Certificate } from 'node:crypto';

/** Each PEM. */
export interface Identity {
  /** The program's own certificate, and what leads from it to an authority if that is not enough. */
  cert: string;
  key: string;
  /** The authorities that are believed. */
  ca: string;
}

/** An identity that changes while the program runs: certificates are short-lived. */
export interface IdentitySource {
  /** A new object after each change. */
  readonly current: Identity | undefined;
  /** Why there is none, or what is wrong with it, in one sentence; empty when all is well. */
  readonly problem: string;
  /** Answers how to stop listening. */
  onChange(listener: () => void): () => void;
  close(): void;
}

/** What every source of an identity has. */
export abstract class IdentityKeeper implements IdentitySource {
  #current: Identity | undefined;
  readonly #listeners = new Set<() => void>();
  problem = '';

  get current(): Identity | undefined {
    return this.#current;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  abstract close(): void;

  protected set(identity: Identity | undefined): void {
    const old = this.#current;
    if (old && identity && old.cert === identity.cert && old.key === identity.key && old.ca === identity.ca) {
      return;
    }
    this.#current = identity;
    for (const listener of this.#listeners) listener();
  }
}

/** The certificates of a PEM text. Throws what the parser says. */
export function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** Why an identity cannot be used at all, in half a sentence; empty when it can. */
export function flawOf({ cert, key, ca }: Identity): string {
  try {
    const [own] = certificatesOf(cert);
    if (!own) return 'the certificate is not PEM';
    if (certificatesOf(ca).length === 0) return 'the authority is not PEM';
    if (!own.checkPrivateKey(createPrivateKey(key))) return 'the key is not that of the certificate';
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Whether one of the authorities has signed the certificate. */
export function isIssuedBy(certificate: X509Certificate, authorities: readonly X509Certificate[]): boolean {
  return authorities.some(
    (authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
  );
}
