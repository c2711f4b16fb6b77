import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { createLogger } from '../../agent/log.js';
import { transferPort } from '../../agent/transfer-port/server.js';
import type { ArchiveStore } from '../../agent/transfer-port/store.js';
import { Transfers } from '../../agent/transfer-port/transfers.js';
import { ApiError } from '../../common/kube/api-error.js';
import { KubeClient } from '../../common/kube/client.js';
import { loadKubeConfig } from '../../common/kube/config.js';
import { AgentPort } from '../../plugin/checkpoint/transfer/agent-port.js';
import { TransferDirection } from '../../proto/gen/lpm/v1/agent.js';

const archive = randomBytes(24 * 1024 * 1024);
const sha256 = createHash('sha256').update(archive).digest();

/** An API server and a runtime that forward ports as the runtimes' streaming servers do (v4.channel.k8s.io). */
function forwarder(to: () => number): Server {
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    if (!request.url?.includes('/pods/agent/portforward?ports=50053')) {
      const body = JSON.stringify({
        kind: 'Status',
        code: 404,
        reason: 'NotFound',
        message: 'pods "other" not found',
      });
      socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (web) => {
      const target = connect(to(), '127.0.0.1');
      const port = Buffer.from([50053 & 255, 50053 >> 8]);
      web.send(Buffer.concat([Buffer.from([0]), port]));
      web.send(Buffer.concat([Buffer.from([1]), port]));
      target.on('data', (data: Buffer) => {
        target.pause();
        web.send(Buffer.concat([Buffer.from([0]), data]), () => target.resume());
      });
      target.on('error', (error) => web.send(Buffer.concat([Buffer.from([1]), Buffer.from(error.message)])));
      target.on('close', () => web.close());
      web.on('message', (message: Buffer) => target.write(message.subarray(1)));
      web.on('close', () => target.destroy());
    });
  });
  return server;
}

describe('archives through a port-forward', () => {
  const transfers = new Transfers();
  let folder: string;
  let agent: Server;
  let api: Server;
  let client: KubeClient;
  const portOf = (server: Server) => (server.address() as AddressInfo).port;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lpm-forward-'));
    const store: ArchiveStore = {
      read: async () => Readable.from([archive.subarray(0, 1000), archive.subarray(1000)]),
      manifest: async () => '{"podJson":"{}"}',
      placeFor: async () => join(folder, 'incoming'),
      keep: async (file, _, { containerName }) => {
        await rename(file, join(folder, containerName));
        return {
          containerName,
          containerId: '',
          bytes: 1n,
          path: '',
          pagesWritten: 0n,
          image: '',
          imageRef: '',
          archive: undefined,
        };
      },
      finish: () => {},
      finished: () => undefined,
      drop: async () => {},
    };
    agent = transferPort({ transfers, store, log: createLogger('error') });
    api = forwarder(() => portOf(agent));
    for (const server of [agent, api])
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    client = new KubeClient(
      loadKubeConfig(
        { server: `http://127.0.0.1:${portOf(api)}` },
        { KUBECONFIG: '/nonexistent/kubeconfig' },
      ),
      {
        userAgent: 'test',
      },
    );
  });
  after(async () => {
    transfers.close();
    client.close();
    for (const server of [agent, api]) {
      server.closeAllConnections();
      server.close();
    }
    await rm(folder, { recursive: true });
  });

  function open(direction: 'EXPORT' | 'IMPORT', pod = 'agent') {
    const uid = randomUUID();
    const ticket = randomBytes(32).toString('hex');
    transfers.open({
      transferUid: uid,
      direction: TransferDirection[`TRANSFER_DIRECTION_${direction}`],
      ticketSha256: createHash('sha256').update(ticket).digest(),
      validFor: { seconds: 60n, nanos: 0 },
      archives: [
        {
          containerName: 'app',
          uri: direction === 'EXPORT' ? 'x' : '',
          sha256,
          bytes: BigInt(archive.length),
          address: '',
          nodeName: '',
        },
      ],
      pod: { namespace: 'default', name: 'counter', uid },
      clusterUid: uid,
    });
    const place = { namespace: 'system', pod, port: 50053 };
    return new AgentPort(client, place, uid, ticket, new AbortController().signal);
  }

  test('an archive of many megabytes is read whole, and what it is is told before', async () => {
    const port = open('EXPORT');
    assert.deepEqual(await port.about('app'), {
      sha256: sha256.toString('hex'),
      bytes: archive.length,
      manifest: { podJson: '{}' },
    });
    const hash = createHash('sha256');
    for await (const chunk of (await port.read('app')) as AsyncIterable<Buffer>) hash.update(chunk);
    assert.deepEqual(hash.digest(), sha256);
  });

  test('an archive of many megabytes is written whole', async () => {
    await open('IMPORT').write(
      'app',
      archive.length,
      Readable.from([archive.subarray(0, 5), archive.subarray(5)]),
    );
    assert.ok((await readFile(join(folder, 'app'))).equals(archive));
  });

  test('a refusal is told before anything is sent, and a wrong content leaves nothing', async () => {
    const port = open('IMPORT');
    await assert.rejects(
      port.write('app', 17, Readable.from([Buffer.alloc(17)])),
      /announced with 25165824 bytes, not 17/,
    );
    await rm(join(folder, 'app'), { force: true });
    const other = Readable.from([randomBytes(archive.length)]);
    await assert.rejects(
      port.write('app', archive.length, other),
      /The agent refuses: What came has another SHA-256/,
    );
    assert.deepEqual(await readdir(folder), []);
  });

  test('a pod that is not there is what the API server says of it', async () => {
    await assert.rejects(open('EXPORT', 'other').about('app'), (error: ApiError) => error.isNotFound);
  });
});
