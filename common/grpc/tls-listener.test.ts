/** A gRPC server behind the listener: who gets through, and what becomes of calls and connections when certificates change. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { after, before, test } from 'node:test';
import { Client, Server, type ServiceError } from '@grpc/grpc-js';
import { HealthCheckResponse, HealthService } from '../../proto/gen/grpc/health/v1/health.js';
import { createCa, issueCertificate, type CertificateRequest, type KeyPair } from '../../test/cluster/pki.js';
import { until } from '../../test/support/until.js';
import { IdentityKeeper, type Identity } from '../identity/identity.js';
import { channelCredentials } from './client-credentials.js';
import { closeClient } from './close-client.js';
import { TlsListener } from './tls-listener.js';

class Held extends IdentityKeeper {
  change(identity: Identity | undefined): void {
    this.set(identity);
  }
  override close(): void {}
}

const HANDSHAKES = 20;
const HANDSHAKE_MS = 2_000;
const NAME = 'server.test';

const identity = new Held();
let ca: KeyPair;
let listener: TlsListener;
let server: Server;
let port: number;
/** Calls that wait for it. */
let answer: () => void = () => {};
let held = 0;

const issue = (by: KeyPair, usage: 'client' | 'server', more: Partial<CertificateRequest> = {}) =>
  issueCertificate(by, { commonName: usage, dnsNames: [NAME], usages: [usage], ...more });

before(async () => {
  ca = await createCa('one');
  identity.change({ ...(await issue(ca, 'server')), ca: ca.cert });
  server = new Server();
  server.addService(HealthService, {
    check: (_call: unknown, callback: (error: null, value: HealthCheckResponse) => void) =>
      callback(null, HealthCheckResponse.fromPartial({})),
    watch: (call: { write: (value: HealthCheckResponse) => void; end: () => void }) => {
      held += 1;
      call.write(HealthCheckResponse.fromPartial({}));
      const before = answer;
      answer = () => {
        before();
        held -= 1;
        call.write(HealthCheckResponse.fromPartial({}));
        call.end();
      };
    },
  });
  listener = new TlsListener(server, identity, { handshakeMs: HANDSHAKE_MS, maxHandshakes: HANDSHAKES });
  port = await listener.listen('127.0.0.1:0');
});
after(() => {
  listener.close();
  server.forceShutdown();
});

const client = (pair: KeyPair | undefined, believes = ca.cert): Client =>
  new Client(`127.0.0.1:${port}`, channelCredentials({ ...pair, ca: believes }), {
    'grpc.ssl_target_name_override': NAME,
    'grpc.use_local_subchannel_pool': 1,
  });

/** Undefined when the call was answered, else why not. */
async function call(one: Client): Promise<ServiceError | undefined> {
  const { path, requestSerialize, responseDeserialize } = HealthService.check;
  return new Promise((resolve) =>
    one.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { service: '' },
      { deadline: Date.now() + 10_000 },
      (error) => resolve(error ?? undefined),
    ),
  );
}

async function outcome(pair: KeyPair | undefined, believes?: string): Promise<ServiceError | undefined> {
  const one = client(pair, believes);
  const error = await call(one);
  await closeClient(one);
  return error;
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()));

test('a client with a certificate of our authority is served', async () => {
  assert.equal(await outcome(await issue(ca, 'client')), undefined);
});

test('a client without one, or with a foreign, an expired or a server’s certificate does not get as far as a call', async () => {
  const foreign = await createCa('one');
  const wrong = {
    none: undefined,
    foreign: await issue(foreign, 'client'),
    expired: await issue(ca, 'client', { days: -1 / (24 * 60) }),
    'for servers': await issue(ca, 'server'),
  };
  for (const [what, pair] of Object.entries(wrong)) {
    const error = await outcome(pair);
    assert.ok(error, what);
    assert.equal(error.code, 14, `${what}: ${error.message}`);
  }
  assert.equal(listener.handshakes, 0);
  assert.equal(await outcome(await issue(ca, 'client')), undefined);
});

test('what is not TLS 1.3, and not HTTP/2, is cut off', async () => {
  const pair = await issue(ca, 'client');
  const options = { host: '127.0.0.1', port, ca: ca.cert, servername: NAME, ...pair };
  const old = connectTls({ ...options, maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] });
  const [error] = (await once(old, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\xff\xff'.repeat(4000), '\0'.repeat(100_000)]) {
    const socket = connectTcp(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(Buffer.from(bytes, 'latin1'));
    await closed(socket.resume());
  }
  const other = connectTls(options);
  other.on('error', () => {});
  await closed(other.resume());
  assert.equal(await outcome(pair), undefined);
});

test('of those who only hold a connection open few are kept, and not for long', async () => {
  const sockets: Socket[] = [];
  for (let n = 0; n < 5 * HANDSHAKES; n += 1) {
    const socket = connectTcp(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'connect');
    sockets.push(socket);
  }
  await until('all have arrived', () => sockets.filter(({ closed }) => closed).length >= 4 * HANDSHAKES);
  assert.equal(listener.handshakes, HANDSHAKES);
  assert.equal(await outcome(await issue(ca, 'client')), undefined, 'one of ours is served meanwhile');
  await until('the last one is cut off', () => sockets.every(({ closed }) => closed));
  assert.equal(listener.handshakes, 0);
});

test('a call goes on while the certificate changes, and the next connection meets the new one', async () => {
  const pair = await issue(ca, 'client');
  const one = client(pair);
  const { path, requestSerialize, responseDeserialize } = HealthService.watch;
  const stream = one.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service: '' });
  const ended = once(stream, 'end');
  stream.resume();
  await until('the call is under way', () => held === 1);

  // Its successor is believed too, as it is when an authority is replaced.
  const next = await createCa('two');
  identity.change({ ...(await issue(next, 'server')), ca: ca.cert + next.cert });
  assert.match(
    (await outcome(pair))?.details ?? '',
    /certificate|issuer/,
    'who has not heard of the new authority',
  );
  assert.equal(await outcome(pair, ca.cert + next.cert), undefined);
  assert.equal(await outcome(await issue(next, 'client'), next.cert), undefined);
  assert.equal(await call(one), undefined, 'the connection that is there');
  answer();
  await ended;
  await closeClient(one);

  identity.change({ ...(await issue(next, 'server')), ca: next.cert });
  assert.ok(await outcome(pair, next.cert), 'a client of the authority that is gone');
});

test('connections of an authority that is believed no longer are cut', async () => {
  const [first, second] = [await createCa('first'), await createCa('second')];
  identity.change({ ...(await issue(first, 'server')), ca: first.cert + second.cert });
  const [leaves, stays] = [
    client(await issue(first, 'client'), first.cert),
    client(await issue(second, 'client'), first.cert),
  ];
  assert.equal((await call(leaves)) ?? (await call(stays)), undefined);
  identity.change({ ...(await issue(second, 'server')), ca: second.cert });
  assert.ok(await call(leaves));
  assert.equal(await call(stays), undefined, 'the connection that was there');
  await Promise.all([closeClient(leaves), closeClient(stays)]);
});

test('without a certificate of its own it closes every connection, and serves when it has one', async () => {
  identity.change(undefined);
  const pair = await issue(ca, 'client');
  const error = await outcome(pair);
  assert.equal(error?.code, 14);
  assert.match(error.details, /before secure TLS connection|ECONNRESET/);
  identity.change({ ...(await issue(ca, 'server')), ca: ca.cert });
  assert.equal(await outcome(pair), undefined);
});
