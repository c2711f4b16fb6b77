import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { LpmError } from '../../common/errors.js';
import {
  TransferDirection,
  type ArchiveSource,
  type OpenTransferRequest,
} from '../../proto/gen/lpm/v1/agent.js';
import { createLogger } from '../log.js';
import { transferPort } from './server.js';
import type { ArchiveStore } from './store.js';
import { Transfers } from './transfers.js';

const { TRANSFER_DIRECTION_EXPORT: EXPORT, TRANSFER_DIRECTION_IMPORT: IMPORT } = TransferDirection;
const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest();

/** A folder in place of a node's archives: what is kept lies there under the container's name. */
class Folder implements ArchiveStore {
  archive: Buffer = randomBytes(300_000);
  /** Waits before the second half of an archive is read. */
  middle: Promise<void> = Promise.resolve();
  refuses = '';
  constructor(readonly path: string) {}

  async read(source: ArchiveSource): Promise<Readable> {
    if (source.uri !== 'file:///app.tar')
      throw new LpmError('CheckpointNotFound', `There is no ${source.uri}.`);
    const { archive, middle } = this;
    return Readable.from(
      (async function* () {
        yield archive.subarray(0, 150_000);
        await middle;
        yield archive.subarray(150_000);
      })(),
    );
  }
  async manifest() {
    return '{"version":1}';
  }
  finishedWith: string[] = [];
  finish(_: unknown, artifacts: { containerName: string }[]) {
    this.finishedWith = artifacts.map(({ containerName }) => containerName);
  }
  finished() {
    return undefined;
  }
  async drop() {}
  async placeFor() {
    return join(this.path, 'incoming');
  }
  async keep(file: string, _: unknown, { containerName }: ArchiveSource) {
    if (this.refuses) throw new LpmError('ArtifactInvalid', this.refuses, { hint: 'Make another.' });
    const { rename } = await import('node:fs/promises');
    await rename(file, join(this.path, containerName));
    return {
      containerName,
      containerId: '',
      bytes: 1n,
      path: join(this.path, containerName),
      pagesWritten: 0n,
      image: '',
      imageRef: '',
      archive: undefined,
    };
  }
}

interface Answer {
  status: number;
  body: Buffer;
  headers: IncomingMessage['headers'];
}

describe('the transfer port', () => {
  const transfers = new Transfers();
  let folder: string;
  let store: Folder;
  let server: ReturnType<typeof transferPort>;
  let port: number;
  let said = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lpm-port-'));
  });
  beforeEach(async () => {
    store = new Folder(folder);
    said = '';
    const log = createLogger('debug', (line) => (said += line));
    server = transferPort({ transfers, store, log, most: 2, idleMs: 1000 });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    transfers.close();
    for (const name of await readdir(folder)) await rm(join(folder, name));
  });
  after(() => rm(folder, { recursive: true }));

  function open(direction: TransferDirection, change: Partial<OpenTransferRequest> = {}) {
    const ticket = randomBytes(32).toString('hex');
    const uid = randomUUID();
    const asked: OpenTransferRequest = {
      transferUid: uid,
      direction,
      ticketSha256: sha256(ticket),
      validFor: { seconds: 60n, nanos: 0 },
      archives: [
        {
          containerName: 'app',
          uri: direction === EXPORT ? 'file:///app.tar' : '',
          sha256: sha256(store.archive),
          bytes: BigInt(store.archive.length),
          address: '',
          nodeName: '',
        },
      ],
      pod: direction === IMPORT ? { namespace: 'default', name: 'counter', uid: randomUUID() } : undefined,
      clusterUid: randomUUID(),
      ...change,
    };
    transfers.open(asked);
    return { uid, ticket, asked, path: `/transfers/${uid}/app` };
  }

  function ask(
    method: string,
    path: string,
    { ticket, body, headers = {} }: { ticket?: string; body?: Buffer; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port,
          method,
          path,
          headers: {
            ...(ticket ? { authorization: `Bearer ${ticket}` } : {}),
            ...(body ? { 'content-length': body.length, expect: '100-continue' } : {}),
            ...headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              body: Buffer.concat(chunks),
              headers: response.headers,
            }),
          );
        },
      );
      call.on('error', reject);
      if (body) call.on('continue', () => call.end(body));
      else call.end();
    });
  }

  test('an export is read as it lies on disk, with its hash, and is then complete', async () => {
    const { uid, ticket, path } = open(EXPORT);
    const { status, body, headers } = await ask('GET', path, { ticket });
    assert.equal(status, 200);
    assert.ok(body.equals(store.archive));
    assert.equal(headers['repr-digest'], `sha-256=:${sha256(store.archive).toString('base64')}:`);
    assert.equal(headers['content-length'], String(store.archive.length));
    assert.deepEqual(transfers.state(uid), {
      bytesDone: 300_000n,
      complete: true,
      failure: '',
      archives: [],
    });
    const manifest = await ask('GET', `${path}/about`, { ticket });
    assert.deepEqual(JSON.parse(manifest.body.toString()), {
      sha256: sha256(store.archive).toString('hex'),
      bytes: 300_000,
      manifest: { version: 1 },
    });
  });

  test('an import is kept when size and hash are those that were announced, once', async () => {
    const { uid, ticket, path } = open(IMPORT);
    assert.equal((await ask('PUT', path, { ticket, body: store.archive })).status, 200);
    assert.ok((await readFile(join(folder, 'app'))).equals(store.archive));
    assert.deepEqual(await readdir(folder), ['app']);
    const state = transfers.state(uid);
    assert.equal(state.complete, true);
    assert.deepEqual(store.finishedWith, ['app']);
    assert.equal(state.archives[0]?.path, join(folder, 'app'));
    store.refuses = 'It would be kept again.';
    assert.equal((await ask('PUT', path, { ticket, body: store.archive })).status, 200);
  });

  const strangers: [who: string, ask: (it: ReturnType<typeof open>) => Parameters<typeof ask>][] = [
    ['without a ticket', ({ path }) => ['GET', path]],
    ['with another ticket', ({ path }) => ['GET', path, { ticket: randomBytes(32).toString('hex') }]],
    [
      'with the hash of the ticket',
      ({ path, asked }) => ['GET', path, { ticket: Buffer.from(asked.ticketSha256).toString('hex') }],
    ],
    [
      'with the ticket as basic authentication',
      ({ path, ticket }) => ['GET', path, { headers: { authorization: `Basic ${ticket}` } }],
    ],
    [
      'with the ticket in capitals',
      ({ path, ticket }) => ['GET', path, { headers: { authorization: `Bearer ${ticket.toUpperCase()}` } }],
    ],
    ['for another checkpoint', ({ ticket }) => ['GET', `/transfers/${randomUUID()}/app`, { ticket }]],
    ['for a path', ({ uid, ticket }) => ['GET', `/transfers/${uid}/../../etc/shadow`, { ticket }]],
    ['for an encoded path', ({ uid, ticket }) => ['GET', `/transfers/${uid}/%2e%2e`, { ticket }]],
    ['for anything else', ({ ticket }) => ['GET', '/healthz', { ticket }]],
    ['with another method', ({ path }) => ['DELETE', path]],
  ];
  for (const [who, asking] of strangers) {
    test(`whoever comes ${who} gets one and the same answer`, async () => {
      const it = open(EXPORT);
      const { status, body } = await ask(...asking(it));
      assert.equal(status, 401);
      assert.equal(body.toString(), 'There is no transfer for such a ticket here; it may have expired.\n');
      assert.equal(transfers.state(it.uid).bytesDone, 0n);
      assert.ok(!said.includes(it.ticket), 'the log does not tell the ticket');
    });
  }

  test('an expired transfer and one that was opened anew with another ticket let nobody in', async () => {
    const short = open(EXPORT, { validFor: { seconds: 0n, nanos: 1e6 } });
    while (transfers.find(short.uid)) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.equal((await ask('GET', short.path, { ticket: short.ticket })).status, 401);
    assert.throws(() => transfers.state(short.uid), /is open on this node/);

    const first = open(EXPORT);
    const ticket = randomBytes(32).toString('hex');
    transfers.open({ ...first.asked, ticketSha256: sha256(ticket) });
    assert.equal((await ask('GET', first.path, { ticket: first.ticket })).status, 401);
    assert.equal((await ask('GET', first.path, { ticket })).status, 200);
  });

  test('the direction holds: an export is not written, an import is not read', async () => {
    const out = open(EXPORT);
    assert.equal((await ask('PUT', out.path, { ticket: out.ticket, body: store.archive })).status, 405);
    const into = open(IMPORT);
    assert.equal((await ask('GET', into.path, { ticket: into.ticket })).status, 405);
    assert.equal((await ask('GET', `${into.path}/about`, { ticket: into.ticket })).status, 405);
    assert.equal((await ask('GET', `/transfers/${out.uid}/other`, { ticket: out.ticket })).status, 404);
  });

  test('another size, no size and another content are refused, and nothing is left of them', async () => {
    const { uid, ticket, path } = open(IMPORT);
    const longer = await ask('PUT', path, { ticket, body: Buffer.concat([store.archive, Buffer.from('x')]) });
    assert.equal(longer.status, 413);
    assert.match(longer.body.toString(), /announced with 300000 bytes, not 300001/);
    const chunked = await ask('PUT', path, { ticket, headers: { 'transfer-encoding': 'chunked' } });
    assert.equal(chunked.status, 411);
    const other = await ask('PUT', path, { ticket, body: randomBytes(300_000) });
    assert.equal(other.status, 422);
    assert.match(other.body.toString(), /another SHA-256/);
    store.refuses = 'The archive holds a device.';
    const hostile = await ask('PUT', path, { ticket, body: store.archive });
    assert.equal(hostile.status, 422);
    assert.equal(hostile.body.toString(), 'The archive holds a device. Make another.\n');
    assert.deepEqual(await readdir(folder), []);
    assert.equal(transfers.state(uid).failure, 'app: The archive holds a device.');
    store.refuses = '';
    assert.equal(
      (await ask('PUT', path, { ticket, body: store.archive })).status,
      200,
      'another try is welcome',
    );
    assert.equal(transfers.state(uid).failure, '');
  });

  test('an upload that is cut or stands still leaves nothing, and can be done again', async () => {
    const { uid, ticket, path } = open(IMPORT);
    for (const end of ['cut', 'stand still']) {
      const socket = connect(port, '127.0.0.1');
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('error', () => {});
      socket.write(
        `PUT ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${ticket}\r\nContent-Length: 300000\r\n\r\n`,
      );
      socket.write(store.archive.subarray(0, 100_000));
      while (transfers.state(uid).bytesDone < 100_000n)
        await new Promise((resolve) => setTimeout(resolve, 2));
      if (end === 'cut') socket.destroy();
      await closed;
      while (transfers.find(uid)?.parts.get('app')?.busy)
        await new Promise((resolve) => setTimeout(resolve, 2));
      assert.deepEqual(await readdir(folder), []);
      assert.equal(transfers.state(uid).failure, 'app: the connection was cut.');
    }
    assert.equal((await ask('PUT', path, { ticket, body: store.archive })).status, 200);
  });

  test('a download whose transfer ends in the middle breaks off, so that nobody takes it for whole', async () => {
    let goOn = () => {};
    store.middle = new Promise((resolve) => (goOn = resolve));
    const { uid, ticket, path } = open(EXPORT);
    const reading = ask('GET', path, { ticket });
    reading.catch(() => {});
    while (transfers.state(uid).bytesDone < 150_000n) await new Promise((resolve) => setTimeout(resolve, 2));
    transfers.close();
    goOn();
    await assert.rejects(reading, /aborted|socket hang up|ECONNRESET/);
  });

  test('the same archive twice at once and too many at once are told to wait', async () => {
    let goOn = () => {};
    store.middle = new Promise((resolve) => (goOn = resolve));
    const its = [open(EXPORT), open(EXPORT), open(EXPORT)];
    const [first, second, third] = its;
    const reading = [first!, second!].map(({ path, ticket }) => ask('GET', path, { ticket }));
    while (its.filter(({ uid }) => transfers.find(uid)?.parts.get('app')?.busy).length < 2)
      await new Promise((resolve) => setTimeout(resolve, 2));
    assert.equal((await ask('GET', first!.path, { ticket: first!.ticket })).status, 409);
    assert.equal((await ask('GET', third!.path, { ticket: third!.ticket })).status, 503);
    goOn();
    assert.deepEqual(
      (await Promise.all(reading)).map(({ status }) => status),
      [200, 200],
    );
    assert.equal((await ask('GET', third!.path, { ticket: third!.ticket })).status, 200);
  });

  test('endless headers, half a request and no request at all do not hold a connection', async () => {
    const endless = connect(port, '127.0.0.1');
    endless.on('error', () => {});
    endless.write(`GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${'a'.repeat(20_000)}`);
    let heard = '';
    endless.setEncoding('latin1').on('data', (text) => (heard += text));
    await new Promise((resolve) => endless.once('close', resolve));
    assert.match(heard, /^HTTP\/1\.1 431 /);
    for (const text of ['', 'GET / HTTP/1.1\r\nHost']) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      if (text) socket.write(text);
      await new Promise((resolve) => socket.once('close', resolve));
    }
  });

  const nonsense: [what: string, change: Partial<OpenTransferRequest>][] = [
    ['no direction', { direction: TransferDirection.TRANSFER_DIRECTION_UNSPECIFIED }],
    ['half a hash', { ticketSha256: Buffer.alloc(16, 1) }],
    ['the hash of nobody’s ticket', { ticketSha256: Buffer.alloc(32) }],
    ['no end', { validFor: undefined }],
    ['no archives', { archives: [] }],
    ['a UID that is none', { transferUid: '../../etc' }],
  ];
  for (const [what, change] of nonsense) {
    test(`a transfer with ${what} is not opened`, () => {
      assert.throws(
        () => open(EXPORT, change),
        (error: LpmError) => error.reason === 'InvalidArgument',
      );
    });
  }

  test('asking for the same transfer again keeps what was done', async () => {
    const { uid, ticket, path, asked } = open(EXPORT);
    await ask('GET', path, { ticket });
    transfers.open(asked);
    assert.equal(transfers.state(uid).complete, true);
  });
});
