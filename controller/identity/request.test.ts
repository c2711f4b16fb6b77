/** Which signing requests are accepted, and what of them. */
import assert from 'node:assert/strict';
import { webcrypto, X509Certificate } from 'node:crypto';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { test } from 'node:test';
import { agentProfile, makeAuthority, sign } from './certificates.js';
import { requestedKey } from './request.js';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const HOUR = 3600_000;

async function request(algorithm: object = P256, more: object = {}): Promise<Buffer> {
  const keys = (await webcrypto.subtle.generateKey(algorithm as never, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: { ...algorithm, hash: 'SHA-256' } as never,
    ...more,
  });
  return Buffer.from(made.rawData);
}

test('of a request nothing but its key gets into the certificate', async () => {
  const der = await request(P256, {
    name: 'O=lpm:controllers, CN=lpm-controller',
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'other.agent.lpm.my.domain' }]),
      new x509.BasicConstraintsExtension(true, 2, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.codeSigning]),
    ],
  });
  const authority = await makeAuthority(HOUR);
  const cert = new X509Certificate(
    await sign(authority, agentProfile('worker'), await requestedKey(der), HOUR / 4),
  );
  assert.equal(cert.subject, 'O=lpm:agents\nCN=lpm-agent:worker');
  assert.equal(cert.subjectAltName, 'DNS:worker.agent.lpm.my.domain');
  assert.equal(cert.ca, false);
  assert.deepEqual(cert.keyUsage, ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']);
  assert.ok(cert.verify(new X509Certificate(authority.cert).publicKey));
  assert.ok(
    cert.publicKey
      .export({ type: 'spki', format: 'der' })
      .equals(Buffer.from(new x509.Pkcs10CertificateRequest(new Uint8Array(der)).publicKey.rawData)),
  );
});

test('a request whose signature is not that of its key is refused', async () => {
  const der = await request();
  der[der.length - 3]! ^= 1;
  await assert.rejects(requestedKey(der), /signature/);
});

test('a request with the key of somebody else is refused', async () => {
  const [mine, theirs] = await Promise.all([request(), request()]);
  const keyOf = (der: Buffer) =>
    Buffer.from(new x509.Pkcs10CertificateRequest(new Uint8Array(der)).publicKey.rawData);
  const at = mine.indexOf(keyOf(mine));
  keyOf(theirs).copy(mine, at);
  await assert.rejects(requestedKey(mine), /signature/);
});

test('keys of other kinds are refused', async () => {
  for (const algorithm of [
    { name: 'ECDSA', namedCurve: 'P-384' },
    {
      name: 'RSASSA-PKCS1-v1_5',
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: 'SHA-256',
    },
    { name: 'Ed25519' },
  ]) {
    await assert.rejects(requestedKey(await request(algorithm)), /curve P-256/, algorithm.name);
  }
});

test('what is no request is refused', async () => {
  const der = await request();
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('hello'),
    der.subarray(0, -1),
    Buffer.alloc(5000, 0x30),
  ]) {
    await assert.rejects(requestedKey(bytes), { reason: 'InvalidArgument' });
  }
});
