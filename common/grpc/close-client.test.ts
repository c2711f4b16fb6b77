import { credentials, Client, Server, ServerCredentials } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { createCa, issueCertificate } from '../../test/cluster/pki.js';
import { until } from '../../test/support/until.js';
import { closeClient } from './close-client.js';

test('a client that is closed at any moment of its handshake leaves no connection open', async () => {
  const ca = await createCa('test');
  const pair = await issueCertificate(ca, { commonName: 'server', dnsNames: ['server'], usages: ['server'] });
  const server = new Server();
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      '127.0.0.1:0',
      ServerCredentials.createSsl(null, [
        { cert_chain: Buffer.from(pair.cert), private_key: Buffer.from(pair.key) },
      ]),
      (error, bound) => (error ? reject(error) : resolve(bound)),
    ),
  );
  // In between: sees each connection, and says when the server's part of the handshake begins.
  const open = new Set<Socket>();
  let begun: () => void = () => {};
  const proxy = createServer((socket) => {
    open.add(socket);
    const onward = connect(port, '127.0.0.1');
    socket.on('close', () => open.delete(socket));
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
    socket.pipe(onward);
    onward.on('data', (chunk: Buffer) => {
      socket.write(chunk);
      begun();
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(proxy.address() as { port: number }).port}`;
  try {
    for (let turns = 0; turns < 40; turns += 1) {
      const handshake = new Promise<void>((resolve) => (begun = resolve));
      const client = new Client(address, credentials.createSsl(Buffer.from(ca.cert)), {
        'grpc.ssl_target_name_override': 'server',
        'grpc.use_local_subchannel_pool': 1,
      });
      client.waitForReady(Date.now() + 10_000, () => {});
      await handshake;
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await closeClient(client);
    }
    await until('every connection is closed', () => open.size === 0 || undefined);
  } finally {
    proxy.close();
    for (const socket of open) socket.destroy();
    server.forceShutdown();
  }
  assert.equal(open.size, 0);
});
