import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { KubeClient } from '../common/kube/client.js';
import { loadKubeConfig } from '../common/kube/config.js';
import { follow } from './follow.js';

/** An API server that answers as a test says: `get` and `watch` are asked in turn. */
async function server(
  t: TestContext,
  get: (count: number) => { code?: number; body: object },
  watch: (count: number, response: ServerResponse) => void,
): Promise<{ client: KubeClient; asked: string[] }> {
  const asked: string[] = [];
  const counts = { get: 0, watch: 0 };
  const http = createServer((request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '', 'http://host');
    if (url.searchParams.get('watch') === 'true') {
      asked.push(`watch ${url.searchParams.get('resourceVersion')}`);
      watch(++counts.watch, response);
      return;
    }
    asked.push('get');
    const { code = 200, body } = get(++counts.get);
    response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  const config = loadKubeConfig({ server: `http://127.0.0.1:${port}` }, { HOME: '/nonexistent' });
  const client = new KubeClient(config, { userAgent: 'test' });
  t.after(() => {
    client.close();
    http.closeAllConnections();
    http.close();
  });
  return { client, asked };
}

const object = (version: number, phase: string, uid = 'u1') => ({
  metadata: { name: 'm', namespace: 'default', uid, resourceVersion: String(version) },
  status: { phase },
});
const event = (type: string, body: object) => `${JSON.stringify({ type, object: body })}\n`;
const failure = (code: number, reason: string) => ({
  code,
  body: { kind: 'Status', code, reason, message: reason },
});

/** What is seen until `enough` of it has come in. */
async function seen(client: KubeClient, enough: number): Promise<string[]> {
  const stop = new AbortController();
  const sightings: string[] = [];
  for await (const sighting of follow(client.podMigrations, 'm', 'default', stop.signal)) {
    sightings.push(sighting.type === 'state' ? (sighting.object.status?.phase ?? 'none') : sighting.type);
    if (sightings.length === enough) stop.abort();
  }
  return sightings;
}

test('each state of a watch is seen once, and a deletion ends it', async (t) => {
  const { client } = await server(
    t,
    () => ({ body: object(1, 'Pending') }),
    (_, response) => {
      response.write(event('BOOKMARK', { metadata: { resourceVersion: '5' } }));
      response.write(event('MODIFIED', object(2, 'RestoreInProgress')));
      response.end(event('DELETED', object(3, 'RestoreInProgress')));
    },
  );
  assert.deepEqual(await seen(client, 99), ['Pending', 'RestoreInProgress', 'gone']);
});

test('a watch that ends or is too old is begun again, and what came meanwhile is seen', async (t) => {
  const { client, asked } = await server(
    t,
    (count) => ({ body: count < 3 ? object(count, `after-${count}`) : object(9, 'Succeeded') }),
    (count, response) => {
      if (count === 1) response.end();
      else response.end(event('ERROR', failure(410, 'Expired').body));
    },
  );
  assert.deepEqual(await seen(client, 3), ['after-1', 'after-2', 'Succeeded']);
  assert.deepEqual(asked.slice(0, 5), ['get', 'watch 1', 'get', 'watch 2', 'get']);
});

test('who may get but not watch is served by asking again and again', async (t) => {
  const { client, asked } = await server(
    t,
    (count) => ({ body: object(count, `get-${count}`) }),
    (_, response) => {
      const { code, body } = failure(403, 'Forbidden');
      response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    },
  );
  assert.deepEqual(await seen(client, 3), ['get-1', 'get-2', 'get-3']);
  assert.deepEqual(asked, ['get', 'watch 1', 'get', 'get']);
});

test('a server that fails for a while is asked again', async (t) => {
  const { client } = await server(
    t,
    (count) =>
      count === 1 ? failure(503, 'ServiceUnavailable') : { body: object(count, 'RestoreInProgress') },
    () => {},
  );
  assert.deepEqual(await seen(client, 2), ['lost', 'RestoreInProgress']);
});

test('a namesake made since is another object', async (t) => {
  const { client } = await server(
    t,
    (count) => ({ body: object(count, 'Pending', `u${count}`) }),
    (_, response) => response.end(),
  );
  assert.deepEqual(await seen(client, 99), ['Pending', 'gone']);
});

test('what the server refuses for good is thrown', async (t) => {
  const { client } = await server(
    t,
    () => failure(403, 'Forbidden'),
    () => {},
  );
  await assert.rejects(seen(client, 1), /Forbidden/);
});
