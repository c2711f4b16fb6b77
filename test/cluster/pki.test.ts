import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connect, createServer, type PeerCertificate } from 'node:tls';
import { createCa, issueCertificate } from './pki.js';

test('a client and a server with certificates of the same authority trust each other', async () => {
  const ca = await createCa('test-ca');
  const server = await issueCertificate(ca, {
    commonName: 'server',
    dnsNames: ['localhost', 'kubernetes.default.svc'],
    ipAddresses: ['127.0.0.1', '::1'],
    usages: ['server'],
  });
  const client = await issueCertificate(ca, {
    commonName: 'system:node:k8s-worker',
    organization: ['system:nodes', 'other'],
    usages: ['client'],
    days: 2,
  });
  const listener = createServer({
    cert: server.cert,
    key: server.key,
    ca: ca.cert,
    requestCert: true,
    rejectUnauthorized: true,
  });
  const seen = once(listener, 'secureConnection');
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const socket = connect({
    port: (listener.address() as AddressInfo).port,
    host: '127.0.0.1',
    ca: ca.cert,
    cert: client.cert,
    key: client.key,
  });
  await once(socket, 'secureConnect');
  const [peer] = (await seen) as [import('node:tls').TLSSocket];
  const subject = (peer.getPeerCertificate() as PeerCertificate).subject as unknown as Record<
    string,
    unknown
  >;
  assert.equal(subject['CN'], 'system:node:k8s-worker');
  assert.deepEqual(subject['O'], ['system:nodes', 'other']);
  socket.destroy();
  peer.destroy();
  listener.close();
});

test('a certificate carries its names, its purpose and its authority', async () => {
  const ca = await createCa('test-ca');
  const issued = await issueCertificate(ca, {
    commonName: 'kube-apiserver',
    dnsNames: ['kubernetes'],
    ipAddresses: ['10.96.0.1'],
    usages: ['server', 'client'],
  });
  const cert = new X509Certificate(issued.cert);
  assert.equal(cert.subjectAltName, 'DNS:kubernetes, IP Address:10.96.0.1');
  assert.deepEqual(cert.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.ok(cert.checkIssued(new X509Certificate(ca.cert)));
  assert.ok(cert.verify(new X509Certificate(ca.cert).publicKey));
});
