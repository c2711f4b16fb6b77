import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { backoffMs } from './backoff.js';
import { KubeClient } from './client.js';
import { ListWatch, type ListWatchOptions } from './list-watch.js';
import { until } from '../../test/support/until.js';
import type { Pod } from './types.js';

/** A real HTTP server that answers lists and watches as the test says. */
let server: Server;
let client: KubeClient;
let onList: (request: URL, response: ServerResponse) => void;
let onWatch: (request: URL, response: ServerResponse) => void;
const fast = { initialMs: 5, maxMs: 20 };

// A server for each test: a request of a watch that has just been stopped must not reach the next test.
beforeEach(async () => {
  onWatch = () => {};
  server = createServer((request: IncomingMessage, response) => {
    const url = new URL(request.url ?? '', 'http://test');
    (url.searchParams.get('watch') ? onWatch : onList)(url, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'test', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'test' },
  );
  client = new KubeClient(config, { userAgent: 'test' });
});
afterEach(async () => {
  // Also after a test that failed: a watch that goes on would keep the process alive for ever.
  await Promise.all(started.splice(0).map((watch) => watch.stop()));
  client.close();
  server.closeAllConnections();
  server.close();
});

const started: ListWatch<Pod>[] = [];
function follow(options: ListWatchOptions<Pod> = {}): ListWatch<Pod> {
  const watch = new ListWatch<Pod>(client.pods, options).start();
  started.push(watch);
  return watch;
}

const pod = (name: string, resourceVersion: string, uid = name) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'ns', uid, resourceVersion },
});
const list =
  (version: string, ...items: object[]) =>
  (_: URL, response: ServerResponse) =>
    response.end(JSON.stringify({ metadata: { resourceVersion: version }, items }));
const send = (response: ServerResponse, type: string, object: object) =>
  response.write(`${JSON.stringify({ type, object })}\n`);

test('follows additions, changes and deletions', async () => {
  onList = list('10', pod('a', '9'));
  onWatch = (url, response) => {
    assert.equal(url.searchParams.get('resourceVersion'), '10');
    assert.equal(url.searchParams.get('allowWatchBookmarks'), 'true');
    send(response, 'ADDED', pod('b', '11'));
    send(response, 'MODIFIED', pod('a', '12'));
    send(response, 'DELETED', pod('b', '13'));
  };
  const seen: string[] = [];
  const watch = follow({
    onChange: (key, object) => seen.push(`${key} ${object?.metadata.resourceVersion ?? 'gone'}`),
  });
  await watch.synced();
  await until('all events', () => seen.length === 4);
  assert.deepEqual(seen, ['ns/a 9', 'ns/b 11', 'ns/a 12', 'ns/b gone']);
  assert.deepEqual(
    watch.list().map((object) => object.metadata.name),
    ['a'],
  );
});

test('lists again when its version is too old, and reports what was deleted or replaced meanwhile', async () => {
  let lists = 0;
  onList = (url, response) =>
    ++lists === 1
      ? list('10', pod('a', '9'), pod('b', '9'))(url, response)
      : list('50', pod('b', '40', 'another-uid'))(url, response);
  onWatch = (url, response) => {
    if (url.searchParams.get('resourceVersion') === '10') {
      send(response, 'ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
      response.end();
    } else {
      assert.equal(url.searchParams.get('resourceVersion'), '50');
    }
  };
  const seen: string[] = [];
  follow({
    onChange: (key, object) => seen.push(`${key} ${object?.metadata.uid ?? 'gone'}`),
    backoff: fast,
  });
  await until('second list', () => seen.length === 5);
  assert.deepEqual(seen, ['ns/a a', 'ns/b b', 'ns/a gone', 'ns/b gone', 'ns/b another-uid']);
});

test('goes on from the last bookmark after the connection is cut', async () => {
  onList = list('10');
  const versions: (string | null)[] = [];
  onWatch = (url, response) => {
    versions.push(url.searchParams.get('resourceVersion'));
    if (versions.length === 1) {
      send(response, 'BOOKMARK', { kind: 'Pod', metadata: { resourceVersion: '77' } });
      setTimeout(() => response.destroy(), 10);
    }
  };
  follow({ backoff: fast });
  await until('second watch', () => versions.length === 2);
  assert.deepEqual(versions, ['10', '77']);
});

test('gives up a silent watch and begins another', async () => {
  onList = list('10');
  let watches = 0;
  onWatch = () => void (watches += 1);
  const errors: string[] = [];
  follow({
    inactivityMs: 30,
    backoff: fast,
    onError: (message) => errors.push(message),
  });
  await until('second watch', () => watches >= 2);
  assert.match(errors[0] ?? '', /silent/);
});

test('keeps trying while the API server answers with errors', async () => {
  let answers = 0;
  onList = (url, response) => {
    answers += 1;
    if (answers < 4) {
      response.statusCode = 503;
      response.end('starting');
    } else list('1', pod('a', '1'))(url, response);
  };
  const watch = follow({ backoff: fast });
  await watch.synced();
  assert.equal(answers, 4);
  assert.equal(watch.get('ns/a')?.metadata.name, 'a');
});

test('reads long lists page by page', async () => {
  onList = (url, response) => {
    assert.equal(url.searchParams.get('limit'), '1');
    const first = !url.searchParams.get('continue');
    response.end(
      JSON.stringify({
        metadata: { resourceVersion: '10', ...(first ? { continue: 'more' } : {}) },
        items: [first ? pod('a', '1') : pod('b', '2')],
      }),
    );
  };
  const watch = follow({ pageSize: 1 });
  await watch.synced();
  assert.equal(watch.list().length, 2);
});

test('waits grow with each failure up to their bound and are jittered downwards', () => {
  const steady = { initialMs: 100, maxMs: 1000, random: () => 0 };
  assert.deepEqual(
    [1, 2, 3, 4, 5, 5000].map((attempt) => backoffMs(attempt, steady)),
    [100, 200, 400, 800, 1000, 1000],
  );
  assert.equal(backoffMs(2, { ...steady, random: () => 0.999999 }), 100);
});
