/** Signing requests as agents send them (PKCS #10). */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { LpmError, messageOf } from '../../common/errors.js';
import { KEY_ALGORITHM } from './certificates.js';

/** One of ours has some 250 bytes. */
export const MAX_REQUEST_BYTES = 4096;

/**
 * The public key of a request, and nothing else of it: what it says of its sender counts for nothing.
 *
 * @throws InvalidArgument when it is no request, its key is of another kind, or it is not signed with that key
 */
export async function requestedKey(der: Uint8Array): Promise<x509.PublicKey> {
  if (der.length > MAX_REQUEST_BYTES) throw invalid(`it has more than ${MAX_REQUEST_BYTES} bytes`);
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(new Uint8Array(der));
  } catch (error) {
    throw invalid(messageOf(error), error);
  }
  const { name, namedCurve } = request.publicKey.algorithm as { name: string; namedCurve?: string };
  if (name !== KEY_ALGORITHM.name || namedCurve !== KEY_ALGORITHM.namedCurve) {
    throw invalid(`its key is not on the curve ${KEY_ALGORITHM.namedCurve}`);
  }
  // Only who has the private key can have signed it.
  if (!(await request.verify().catch(() => false))) throw invalid('its signature is not that of its key');
  return request.publicKey;
}

const invalid = (why: string, cause?: unknown): LpmError =>
  new LpmError('InvalidArgument', `The signing request cannot be used: ${why}.`, { cause });
