import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { LpmError } from '../../common/errors.js';
import { createCa, issueCertificate, type KeyPair } from '../../test/cluster/pki.js';
import type { Context } from '../context.js';
import { Host } from '../host.js';
import { createLogger } from '../log.js';
import { askKubelet } from './ask.js';
import { kubeletOptions, type KubeletOptions } from './options.js';
import { outcomeOf } from './outcome.js';

const question = { path: '/checkpoint/default/web/main?timeout=130', patienceMs: 5000 };
const item = '/var/lib/kubelet/checkpoints/c.tar';
const subject = {
  nodeName: 'worker',
  address: 'kubelet',
  namespace: 'default',
  pod: 'web',
  container: 'main',
  patienceMs: question.patienceMs,
};

let ca: KeyPair;
let otherCa: KeyPair;
/** Signed by the cluster's authority for the node's name, for another node, and by nobody that anybody knows. */
let byCluster: KeyPair;
let ofOtherNode: KeyPair;
let selfSigned: KeyPair;
let client: KeyPair;
before(async () => {
  [ca, otherCa, selfSigned] = (await Promise.all(['kubernetes', 'other', 'worker-ca@1'].map(createCa))) as [
    KeyPair,
    KeyPair,
    KeyPair,
  ];
  const server = (name: string) => ({ commonName: name, dnsNames: [name], usages: ['server' as const] });
  byCluster = await issueCertificate(ca, server('worker'));
  ofOtherNode = await issueCertificate(ca, server('elsewhere'));
  client = await issueCertificate(ca, {
    commonName: 'api',
    organization: ['system:masters'],
    usages: ['client'],
  });
});

interface Setting {
  options: KubeletOptions;
  put(path: string, content: string): void;
  /** Who asked, in order. */
  asked: string[];
  warnings: string[];
  ask(): Promise<string>;
}

/** A kubelet with this serving certificate, and an agent of its node whose own and whose node's files lie in a folder. */
async function setUp(
  t: TestContext,
  serving: KeyPair,
  knows: (user: string) => number | 'hang' | 'reset' = () => 200,
): Promise<Setting> {
  const root = mkdtempSync(join(tmpdir(), 'lpm-ask-'));
  const asked: string[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const socket = request.socket as TLSSocket;
    const user = socket.authorized
      ? String(socket.getPeerCertificate().subject.CN)
      : (request.headers.authorization ?? 'nobody');
    asked.push(`${request.method} ${request.url} ${user}`);
    const status = knows(user);
    if (status === 'hang') return;
    if (status === 'reset') return void socket.destroy();
    response.statusCode = status;
    response.end(
      status === 200
        ? JSON.stringify({ items: [item] })
        : status === 401
          ? 'Unauthorized'
          : 'Forbidden (user=x)',
    );
  };
  const server = createServer(
    { ...serving, ca: ca.cert, requestCert: true, rejectUnauthorized: false },
    answer,
  ).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(root, { recursive: true });
  });
  const put = (path: string, content: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  const host = Object.assign(new Host(), { path: (path: string) => join(root, path) });
  const options = {
    ...kubeletOptions({
      'kubelet-address': `127.0.0.1:${(server.address() as AddressInfo).port}`,
      'kubelet-auth': ['token', 'certificate'],
      'kubelet-token-file': '/lpm-test/token',
      'kubelet-insecure-skip-verify': false,
    }),
    clusterCas: ['/etc/kubernetes/pki/ca.crt'],
  };
  const warnings: string[] = [];
  const log = createLogger('warn', (line) =>
    warnings.push((JSON.parse(line) as { message: string }).message),
  );
  put('/lpm-test/token', 'secret\n');
  const context = { host, nodeName: 'worker', log, kubelet: options } as unknown as Context;
  return {
    options,
    put,
    asked,
    warnings,
    ask: async () => {
      try {
        const { answers, problems } = await askKubelet(context, question);
        if (answers.length === 0) return `nothing: ${problems.join('; ')}`;
        const outcome = outcomeOf(answers, subject);
        return 'archive' in outcome ? outcome.archive : outcome.error.reason;
      } catch (error) {
        return error instanceof LpmError ? error.reason : String(error);
      }
    },
  };
}

const PINNED = '/var/lib/kubelet/pki/kubelet.crt';
const CLUSTER_CA = '/etc/kubernetes/pki/ca.crt';
const API_CLIENT = '/etc/kubernetes/pki/apiserver-kubelet-client';

test('a kubelet that signed its own certificate is known by the file on the node', async (t) => {
  const it = await setUp(t, selfSigned);
  it.put(PINNED, selfSigned.cert);
  assert.equal(await it.ask(), item);
  assert.deepEqual(it.asked, [`POST ${question.path} Bearer secret`]);
});

test('another certificate than the one in the file is not trusted, and gets no token', async (t) => {
  const it = await setUp(t, await createCa('worker-ca@1'));
  it.put(PINNED, selfSigned.cert);
  assert.equal(await it.ask(), 'KubeletUntrusted');
  assert.deepEqual(it.asked, []);
});

test('a certificate of the cluster’s authority counts when it names this node, or lies in the kubelet’s file', async (t) => {
  const it = await setUp(t, byCluster);
  assert.equal(await it.ask(), 'KubeletUntrusted', 'nothing to verify against');
  it.put(CLUSTER_CA, ca.cert);
  assert.equal(await it.ask(), item);
  const other = await setUp(t, ofOtherNode);
  other.put(CLUSTER_CA, ca.cert);
  assert.equal(await other.ask(), 'KubeletUntrusted');
  assert.deepEqual(other.asked, []);
  other.put(PINNED, ofOtherNode.cert);
  assert.equal(await other.ask(), item, 'pinned');
});

test('with an authority named by a flag no other counts', async (t) => {
  const it = await setUp(t, byCluster);
  it.put(CLUSTER_CA, ca.cert);
  it.put(PINNED, byCluster.cert);
  it.put('/ca/kubelet.crt', otherCa.cert);
  it.options.caFile = '/ca/kubelet.crt';
  assert.equal(await it.ask(), 'KubeletUntrusted');
  it.put('/ca/kubelet.crt', `${otherCa.cert}${ca.cert}`);
  assert.equal(await it.ask(), item);
});

test('verification is off only by the flag, and warned of each time', async (t) => {
  const it = await setUp(t, selfSigned);
  it.options.insecureSkipVerify = true;
  assert.equal(await it.ask(), item);
  assert.equal(await it.ask(), item);
  assert.equal(it.warnings.filter((line) => /not verified/.test(line)).length, 2);
});

test('a kubelet that does not know the token is shown the client certificates in their order', async (t) => {
  const it = await setUp(t, selfSigned, (user) => (user === 'api' ? 200 : 401));
  it.put(PINNED, selfSigned.cert);
  assert.equal(await it.ask(), 'KubeletUnauthorized');
  it.put(`${API_CLIENT}.crt`, client.cert);
  it.put(`${API_CLIENT}.key`, client.key);
  it.asked.length = 0;
  assert.equal(await it.ask(), item);
  assert.deepEqual(it.asked, [`POST ${question.path} Bearer secret`, `POST ${question.path} api`]);
});

test('who is known and may not does not come back as somebody else', async (t) => {
  const it = await setUp(t, selfSigned, (user) => (user === 'api' ? 200 : 403));
  it.put(PINNED, selfSigned.cert);
  it.put(`${API_CLIENT}.crt`, client.cert);
  it.put(`${API_CLIENT}.key`, client.key);
  assert.equal(await it.ask(), 'KubeletForbidden');
  it.options.auth = ['certificate', 'token'];
  assert.equal(await it.ask(), item);
});

test('a token is read anew for each request', async (t) => {
  const it = await setUp(t, selfSigned);
  it.put(PINNED, selfSigned.cert);
  await it.ask();
  it.put('/lpm-test/token', 'renewed');
  await it.ask();
  assert.match(it.asked[1] ?? '', /Bearer renewed$/);
});

test('certificates are found in one file with their key, in a folder, and where a flag says', async (t) => {
  const it = await setUp(t, selfSigned, (user) => (user === 'api' ? 200 : 401));
  it.put(PINNED, selfSigned.cert);
  it.options.auth = ['certificate'];
  assert.match(
    await it.ask(),
    /^nothing: there is no .*apiserver-kubelet-client\.crt; .*kubelet-client-current.*\/etc\/ssl\/certs\/kubelet/,
  );
  it.put('/etc/ssl/certs/kubelet/client.crt', client.cert);
  it.put('/etc/ssl/certs/kubelet/client.key', client.key);
  assert.equal(await it.ask(), item);
  const flagged = await setUp(t, selfSigned, (user) => (user === 'api' ? 200 : 401));
  flagged.put(PINNED, selfSigned.cert);
  flagged.put('/mine.pem', `${client.cert}${client.key}`);
  flagged.options.clientCertificates = [{ cert: '/mine.pem', key: '/mine.pem' }];
  assert.equal(await flagged.ask(), item);
});

test('a key that does not belong to its certificate is told, and no reason to give up', async (t) => {
  const it = await setUp(t, selfSigned);
  it.put(PINNED, selfSigned.cert);
  it.options.auth = ['certificate'];
  it.put(`${API_CLIENT}.crt`, client.cert);
  it.put(`${API_CLIENT}.key`, byCluster.key);
  assert.equal(await it.ask(), 'KubeletUnauthorized');
  it.options.auth = ['certificate', 'token'];
  assert.equal(await it.ask(), item);
});

test('a kubelet that does not answer, that cuts the connection, and that is not there', async (t) => {
  let how: 'hang' | 'reset' = 'reset';
  const it = await setUp(t, selfSigned, () => how);
  it.put(PINNED, selfSigned.cert);
  assert.equal(await it.ask(), 'KubeletUnreachable');
  how = 'hang';
  const patience = question.patienceMs;
  question.patienceMs = 300;
  assert.equal(await it.ask(), 'TimedOut');
  question.patienceMs = patience;
  const closed = createTcpServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => closed.once('listening', resolve));
  it.options.port = (closed.address() as AddressInfo).port;
  await new Promise((resolve) => closed.close(resolve));
  assert.equal(await it.ask(), 'KubeletUnreachable');
});

test('what does not speak TLS is not taken for a kubelet', async (t) => {
  const it = await setUp(t, selfSigned);
  it.put(PINNED, selfSigned.cert);
  const plain = createTcpServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(
    0,
    '127.0.0.1',
  );
  await new Promise((resolve) => plain.once('listening', resolve));
  t.after(() => plain.close());
  it.options.port = (plain.address() as AddressInfo).port;
  assert.equal(await it.ask(), 'KubeletUnreachable');
});

test('addresses are taken with and without a port, IPv6 too', () => {
  const of = (address: string): string => {
    const { host, port } = kubeletOptions({
      'kubelet-address': address,
      'kubelet-auth': ['token'],
      'kubelet-token-file': '/token',
      'kubelet-insecure-skip-verify': false,
    });
    return `${host} ${port}`;
  };
  assert.equal(of('10.0.0.7'), '10.0.0.7 10250');
  assert.equal(of('node:1234'), 'node 1234');
  assert.equal(of('fd00::7'), 'fd00::7 10250');
  assert.equal(of('[fd00::7]:1234'), 'fd00::7 1234');
  assert.throws(() => of('node:port'), LpmError);
  assert.throws(() => of(''), LpmError);
});
