import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { issueCertificate } from '../pki.js';
import { startTestApiServer, type TestApiServer } from './testing.js';
import {
  eventually,
  kubectls,
  podNamed,
  pods,
  readyNode,
  runKubectl,
  startKubectl,
  TestClient,
} from './testing-client.js';

/** A kubelet that remembers what it was asked and answers like one. */
class FakeKubelet {
  readonly asked: string[] = [];
  readonly users: string[] = [];
  acceptsWebSockets = true;
  /** It cuts off whoever asks a second time over one connection. */
  closesKept = false;
  readonly #known = new WeakSet<object>();
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has('v5.channel.k8s.io') ? 'v5.channel.k8s.io' : false),
  });
  server!: Server;

  async start(api: TestApiServer): Promise<number> {
    const own = await issueCertificate(api.pki.ca, { commonName: 'kubelet', usages: ['server'] });
    this.server = createServer({ ...own, ca: api.pki.ca.cert, requestCert: true, rejectUnauthorized: true });
    this.server.on('request', (request, response) => {
      if (this.closesKept && this.#known.has(request.socket)) return request.socket.destroy();
      this.#known.add(request.socket);
      this.#note(request);
      const path = request.url ?? '';
      if (path.startsWith('/containerLogs/default/chatty/main')) {
        response.end('line one\nline two\n');
      } else if (path.startsWith('/containerLogs/default/waiting/')) {
        response
          .writeHead(400)
          .end('container "main" in pod "waiting" is waiting to start: ContainerCreating');
      } else if (path.startsWith('/containerLogs/')) {
        response.writeHead(500).end('the disk is on fire');
      } else if (path.startsWith('/healthz')) {
        response.end('ok');
      } else {
        response.writeHead(404).end('404 page not found');
      }
    });
    this.server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  #note(request: IncomingMessage): void {
    this.asked.push(`${request.method} ${request.url}`);
    this.users.push((request.socket as TLSSocket).getPeerCertificate().subject.CN as string);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#note(request);
    const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
    if (isWebSocket && !this.acceptsWebSockets) {
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 14\r\nConnection: close\r\n\r\nno WebSockets!');
      return;
    }
    if (!isWebSocket) {
      // What comes behind the switch is no business of the API server: any bytes will do.
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
      );
      socket.on('data', (data: Buffer) => socket.write(data.toString().toUpperCase()));
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const send = (channel: number, text: string) =>
        webSocket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(text)]));
      send(1, 'out of the container\n');
      send(2, 'an error of the container\n');
      send(3, JSON.stringify({ metadata: {}, status: 'Success' }));
      webSocket.close(1000);
    });
  }
}

describe('requests to the kubelet', () => {
  const kubelet = new FakeKubelet();
  let server: TestApiServer;
  let client: TestClient;
  before(async () => {
    server = await startTestApiServer({ crds: false });
    client = new TestClient(server);
    const port = await kubelet.start(server);
    await client.post('/api/v1/nodes', readyNode('here', { port }));
    await client.post('/api/v1/nodes', readyNode('off', { port: 1 }));
    for (const name of ['chatty', 'waiting', 'burning']) {
      await client.post(pods, podNamed(name, { spec: { nodeName: 'here' } }));
    }
    await client.post(pods, podNamed('unreachable', { spec: { nodeName: 'off' } }));
    const containers = [
      { name: 'one', image: 'x' },
      { name: 'two', image: 'x' },
    ];
    await client.post(pods, podNamed('two', { spec: { nodeName: 'here', containers } }));
    await client.post(pods, podNamed('homeless', { spec: { schedulerName: 'none' } }));
  });
  after(async () => {
    client.close();
    await server.close();
    await kubelet.stop();
  });

  test('a log is passed on with all its options, under the certificate of the API server', async () => {
    const { text, code } = await client.get(
      `${pods}/chatty/log?container=main&tailLines=5&timestamps=true&follow=true`,
    );
    assert.equal(code, 200);
    assert.equal(text, 'line one\nline two\n');
    assert.equal(
      kubelet.asked.at(-1),
      'GET /containerLogs/default/chatty/main?tailLines=5&timestamps=true&follow=true',
    );
    assert.equal(kubelet.users.at(-1), 'kube-apiserver-kubelet-client');
  });

  test('a log is asked for again when the kubelet has closed the connection that was kept', async () => {
    kubelet.closesKept = true;
    try {
      for (let turn = 0; turn < 3; turn += 1) {
        assert.equal((await client.get(`${pods}/chatty/log`)).text, 'line one\nline two\n');
      }
    } finally {
      kubelet.closesKept = false;
    }
  });

  test('what goes wrong with a log is said in the words of the real server', async () => {
    const messages: [string, number, string][] = [
      ['waiting/log', 400, 'container "main" in pod "waiting" is waiting to start: ContainerCreating'],
      ['burning/log', 500, 'Internal error occurred: the disk is on fire'],
      ['two/log', 400, 'a container name must be specified for pod two, choose one of: [one two]'],
      ['two/log?container=three', 400, 'container three is not valid for pod two'],
      ['nobody/log', 404, 'pods "nobody" not found'],
      [
        'unreachable/log',
        500,
        'Get "https://127.0.0.1:1/containerLogs/default/unreachable/main": dial tcp 127.0.0.1:1: connect: connection refused',
      ],
    ];
    for (const [path, code, message] of messages) {
      const answer = await client.get(`${pods}/${path}`);
      assert.equal(answer.code, code, path);
      assert.equal(answer.body.message, message);
    }
    assert.equal((await client.get(`${pods}/homeless/log`)).code, 204);
  });

  test('a node is reached through its proxy', async () => {
    assert.equal((await client.get('/api/v1/nodes/here/proxy/healthz?a=b')).text, 'ok');
    assert.equal(kubelet.asked.at(-1), 'GET /healthz?a=b');
    assert.equal((await client.post('/api/v1/nodes/here/proxy/checkpoint/default/p/c', {})).code, 404);
    assert.equal(kubelet.asked.at(-1), 'POST /checkpoint/default/p/c');
  });

  const upgrade = (path: string, headers: object) =>
    new Promise<{ response: IncomingMessage; socket?: Duplex; body?: string }>((resolve, reject) => {
      const { ca, admin } = server.pki;
      const outgoing = httpsRequest(server.url + path, {
        method: 'POST',
        ca: ca.cert,
        ...admin,
        agent: false,
        headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', ...headers },
      });
      outgoing.once('upgrade', (response, socket) => resolve({ response, socket }));
      outgoing.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () => resolve({ response, body: Buffer.concat(chunks).toString() }));
      });
      outgoing.once('error', reject);
      outgoing.end();
    });

  test('an upgraded connection is a tunnel of bytes, headers and all', async () => {
    const { response, socket } = await upgrade(`${pods}/chatty/exec?command=ls&stdout=true`, {});
    assert.equal(response.headers['x-stream-protocol-version'], 'v4.channel.k8s.io');
    socket!.write('bytes');
    const [data] = (await once(socket!, 'data')) as [Buffer];
    assert.equal(data.toString(), 'BYTES');
    socket!.destroy();
    assert.equal(kubelet.asked.at(-1), 'POST /exec/default/chatty/main?output=1&command=ls');
  });

  test('a kubelet that does not upgrade is heard in its own words', async () => {
    kubelet.acceptsWebSockets = false;
    const { response, body } = await upgrade(`${pods}/chatty/attach?stdout=true`, { upgrade: 'websocket' });
    assert.equal(response.statusCode, 400);
    assert.equal(body, 'no WebSockets!');
    const nobody = await upgrade(`${pods}/nobody/exec?command=ls`, {});
    assert.equal(JSON.parse(nobody.body!).message, 'pods "nobody" not found');
    const noCommand = await upgrade(`${pods}/chatty/exec`, {});
    assert.match(noCommand.body!, /you must specify at least one command/);
  });

  for (const program of kubectls) {
    test(`${program} reads logs`, async () => {
      const { stdout } = await runKubectl(program, server, ['logs', 'chatty', '--tail=2']);
      assert.equal(stdout, 'line one\nline two\n');
      const waiting = await runKubectl(program, server, ['logs', 'waiting']);
      assert.match(
        waiting.stderr,
        /Error from server \(BadRequest\): container "main" in pod "waiting" is waiting to start/,
      );
    });

    test(`${program} executes through WebSockets`, async () => {
      kubelet.acceptsWebSockets = true;
      const ran = await runKubectl(program, server, ['exec', 'chatty', '--', 'ls', '-l', '/a b']);
      assert.equal(ran.stdout, 'out of the container\n');
      assert.equal(ran.stderr, 'an error of the container\n');
      assert.equal(ran.code, 0);
      assert.equal(
        kubelet.asked.at(-1),
        'GET /exec/default/chatty/main?output=1&error=1&command=ls&command=-l&command=%2Fa+b',
      );
    });

    test(`${program} falls back to SPDY when the kubelet takes no WebSockets`, async () => {
      kubelet.acceptsWebSockets = false;
      kubelet.asked.length = 0;
      const child = startKubectl(program, server, ['exec', '-i', 'chatty', '--', 'cat']);
      await eventually(
        () => kubelet.asked,
        (asked) => asked.length === 2,
      );
      assert.match(
        kubelet.asked[0]!,
        /^GET \/exec\/default\/chatty\/main\?input=1&output=1&error=1&command=cat$/,
      );
      assert.match(
        kubelet.asked[1]!,
        /^POST \/exec\/default\/chatty\/main\?input=1&output=1&error=1&command=cat$/,
      );
      // The fake one speaks no SPDY: the real one is met in the cluster's own tests.
      child.kill('SIGKILL');
      await once(child, 'close');
    });

    test(`${program} is told when the kubelet is out of reach`, async () => {
      const { stderr } = await runKubectl(program, server, ['exec', 'unreachable', '--', 'ls']);
      assert.match(stderr, /error dialing backend: dial tcp 127\.0\.0\.1:1: connect: connection refused/);
    });
  }
});
