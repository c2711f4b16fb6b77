import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { createCa, issueCertificate } from '../../test/cluster/pki.js';
import { startTestApiServer } from '../../test/cluster/apiserver/testing.js';
import { KubeClient } from './client.js';
import { loadKubeConfig } from './config.js';

test('what is asked of a client that was closed leaves no connection open', async () => {
  const api = await startTestApiServer();
  const client = new KubeClient(loadKubeConfig({ kubeconfig: api.kubeconfig }), { userAgent: 'test' });
  await client.nodes.list();
  client.close();
  assert.deepEqual((await client.nodes.list()).items, []);
  // Ends when every connection has: one that is kept for later would keep it for ever.
  await api.close();
});

describe('over a connection that was kept and that the server closes as it is used again', () => {
  let server: Server;
  let client: KubeClient;
  let asked: string[];
  beforeEach(async () => {
    asked = [];
    const used = new WeakSet<Socket>();
    const ca = await createCa('test-ca');
    const pair = await issueCertificate(ca, {
      commonName: 'kube-apiserver',
      ipAddresses: ['127.0.0.1'],
      usages: ['server'],
    });
    server = createServer(pair, (request, response) => {
      asked.push(request.method ?? '');
      if (used.has(request.socket)) return request.socket.destroy();
      used.add(request.socket);
      response.end('{"items":[]}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      {
        name: 'test',
        server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
        caData: Buffer.from(ca.cert).toString('base64'),
        skipTLSVerify: false,
      },
      { name: 'test' },
    );
    client = new KubeClient(config, { userAgent: 'test' });
  });
  afterEach(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });

  test('what only reads is asked again, until a connection carries it', async () => {
    // Three connections, each of which will carry nothing more.
    await Promise.all([client.nodes.list(), client.nodes.list(), client.nodes.list()]);
    assert.deepEqual((await client.nodes.list()).items, []);
    assert.equal(asked.length, 7);
  });

  test('what changes something is not sent twice: the server may have done it', async () => {
    await client.nodes.list();
    await assert.rejects(client.nodes.create({ metadata: { name: 'a' } }), /the connection was cut/);
    assert.deepEqual(asked, ['GET', 'POST']);
  });
});
