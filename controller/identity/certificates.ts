/** The certificates that the controller makes: authorities, and short-lived ones for itself and for the agents. */
import { randomBytes, webcrypto } from 'node:crypto';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import {
  AGENT_COMMON_NAME_PREFIX,
  AGENT_ORGANIZATION,
  agentDnsName,
  CONTROLLER_COMMON_NAME,
  CONTROLLER_ORGANIZATION,
  SIGNER_DNS_NAME,
  SIGNER_SERVICE,
} from '../../common/api/names.js';

/** Each PEM; the key is PKCS #8. */
export interface KeyPair {
  cert: string;
  key: string;
}

/** All that a certificate says of its holder. */
export interface Profile {
  commonName: string;
  organization?: string;
  dnsName?: string;
  usages: readonly ('client' | 'server')[];
}

export const CONTROLLER_PROFILE: Profile = {
  commonName: CONTROLLER_COMMON_NAME,
  organization: CONTROLLER_ORGANIZATION,
  usages: ['client'],
};

/** No organization: who has it may answer for the signer and call nobody. */
export const SIGNER_PROFILE: Profile = {
  commonName: SIGNER_SERVICE,
  dnsName: SIGNER_DNS_NAME,
  usages: ['server'],
};

/** Agents also call each other. */
export const agentProfile = (nodeName: string): Profile => ({
  commonName: `${AGENT_COMMON_NAME_PREFIX}${nodeName}`,
  organization: AGENT_ORGANIZATION,
  dnsName: agentDnsName(nodeName),
  usages: ['client', 'server'],
});

/** The one kind of key that is made and accepted. */
export const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { ...KEY_ALGORITHM, hash: 'SHA-256' } as const;

/** Certificates begin a little in the past, because clocks differ; short-lived ones by a part of their life. */
export const SKEW_MS = 5 * 60_000;
const skewOf = (lifetimeMs: number): number => Math.min(SKEW_MS, lifetimeMs / 10);

/** A self-signed authority of our own. */
export async function makeAuthority(lifetimeMs: number, now = Date.now()): Promise<KeyPair> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // Authorities that are believed at the same time must not have the same name.
    name: new x509.Name([{ CN: [{ utf8String: `lpm-ca-${randomBytes(4).toString('hex')}` }] }]),
    notBefore: new Date(now - SKEW_MS),
    notAfter: new Date(now + lifetimeMs),
    keys,
    signingAlgorithm: SIGNING,
    extensions: [
      // It signs no other authorities.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pem(certificate), key: await exportKey(keys.privateKey) };
}

/** A certificate with a key that is made for it. */
export async function issue(
  authority: KeyPair,
  profile: Profile,
  lifetimeMs: number,
  now = Date.now(),
): Promise<KeyPair> {
  const keys = await newKeys();
  const cert = await sign(authority, profile, keys.publicKey, lifetimeMs, now);
  return { cert, key: await exportKey(keys.privateKey) };
}

/** A certificate for the holder of a key, PEM. It never outlives its authority. */
export async function sign(
  authority: KeyPair,
  { commonName, organization, dnsName, usages }: Profile,
  publicKey: x509.PublicKeyType,
  lifetimeMs: number,
  now = Date.now(),
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.cert);
  const purposes = { client: x509.ExtendedKeyUsage.clientAuth, server: x509.ExtendedKeyUsage.serverAuth };
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: new x509.Name([
      ...(organization ? [{ O: [{ utf8String: organization }] }] : []),
      { CN: [{ utf8String: commonName }] },
    ]),
    issuer: issuer.subjectName,
    notBefore: new Date(now - skewOf(lifetimeMs)),
    notAfter: new Date(Math.min(now + lifetimeMs, issuer.notAfter.getTime())),
    publicKey,
    signingKey: await importKey(authority.key),
    signingAlgorithm: SIGNING,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages.map((usage) => purposes[usage])),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(dnsName ? [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: dnsName }])] : []),
    ],
  });
  return pem(certificate);
}

const pem = (certificate: x509.X509Certificate): string => `${certificate.toString('pem')}\n`;

/** 16 random bytes, positive and not short: RFC 5280, 4.1.2.2. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

/** @throws what is wrong with the key; cert-manager's is PKCS #1 or SEC 1 unless it is asked for PKCS #8 */
async function importKey(text: string): Promise<webcrypto.CryptoKey> {
  const der = x509.PemConverter.decode(text)[0];
  if (der === undefined) throw new Error('the key of the authority is not PEM');
  return webcrypto.subtle.importKey('pkcs8', der, KEY_ALGORITHM, false, ['sign']);
}
