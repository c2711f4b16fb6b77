/** A new key, and the request for a certificate of it. */
import { webcrypto } from 'node:crypto';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const;

export interface SigningRequest {
  /** PEM, PKCS #8. */
  key: string;
  /** PKCS #10, DER. It says nothing of who asks: that is in the token. */
  der: Buffer;
}

export async function newRequest(): Promise<SigningRequest> {
  const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: { ...KEY, hash: 'SHA-256' },
  });
  const key = x509.PemConverter.encode(
    await webcrypto.subtle.exportKey('pkcs8', keys.privateKey),
    'PRIVATE KEY',
  );
  return { key: `${key}\n`, der: Buffer.from(request.rawData) };
}
