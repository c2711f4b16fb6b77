/**
 * An authority that somebody else keeps, in a folder with tls.crt and tls.key: a mounted Secret of cert-manager's. It is read again
 * and again; the one before is still believed until it ends or this process does.
 */
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LpmError, messageOf } from '../../common/errors.js';
import { certificatesOf } from '../../common/identity/identity.js';
import type { Authorities, AuthoritySource } from './authorities.js';

export class GivenAuthority implements AuthoritySource {
  #known: Authorities = { old: [] };

  constructor(private readonly folder: string) {}

  /** @throws InvalidArgument */
  async read(): Promise<Authorities> {
    const [cert, key] = await Promise.all(['tls.crt', 'tls.key'].map((name) => this.#file(name)));
    const { current, old } = this.#known;
    if (current?.cert === cert && current?.key === key) return this.#known;
    this.#check(cert!, key!);
    this.#known = {
      current: { cert: cert!, key: key! },
      old: current && current.cert !== cert ? [...old, current.cert] : old,
    };
    return this.#known;
  }

  async #file(name: string): Promise<string> {
    try {
      return await readFile(join(this.folder, name), 'utf8');
    } catch (error) {
      throw this.#unusable(messageOf(error), error);
    }
  }

  #check(cert: string, key: string): void {
    let flaw: string;
    try {
      flaw = flawOfAuthority(cert, key);
    } catch (error) {
      throw this.#unusable(messageOf(error), error);
    }
    if (flaw) throw this.#unusable(flaw);
  }

  #unusable(why: string, cause?: unknown): LpmError {
    return new LpmError('InvalidArgument', `The authority in ${this.folder} cannot be used: ${why}.`, {
      hint: 'The folder given with --ca-dir must hold tls.crt, a self-signed authority, and tls.key, its key on the curve P-256 as PKCS #8.',
      cause,
    });
  }
}

function flawOfAuthority(cert: string, key: string): string {
  const [authority] = certificatesOf(cert);
  if (!authority) return 'tls.crt is not PEM';
  if (!authority.ca) return 'tls.crt is not that of an authority';
  // Node's servers believe nobody in the middle of a chain, and whoever stands at its end has signed more than our programs.
  if (!authority.checkIssued(authority) || !authority.verify(authority.publicKey)) {
    return 'it is signed by another authority';
  }
  const privateKey = createPrivateKey(key);
  if (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    return 'its key is not on the curve P-256';
  }
  if (!key.includes('BEGIN PRIVATE KEY')) return 'tls.key is not PKCS #8';
  return authority.checkPrivateKey(privateKey) ? '' : 'tls.key is not the key of tls.crt';
}
