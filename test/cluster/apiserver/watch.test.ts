import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { startTestApiServer, type TestApiServer } from './testing.js';
import { podNamed, pods, TestClient } from './testing-client.js';

describe('watches', () => {
  let server: TestApiServer;
  let client: TestClient;
  before(async () => {
    server = await startTestApiServer({ crds: false });
    client = new TestClient(server);
  });
  after(async () => {
    client.close();
    await server.close();
  });
  const label = (name: string, labels: object) =>
    client.patch(`${pods}/${name}`, 'merge', { metadata: { labels } });

  test('a watch from a version tells what happened since and goes on', async () => {
    const { body: list } = await client.get(pods);
    await client.post(pods, podNamed('since', { spec: { schedulerName: 'none' } }));
    const watch = await client.watch(`${pods}?watch=1&resourceVersion=${list.metadata.resourceVersion}`);
    assert.equal((await watch.next()).type, 'ADDED');
    await label('since', { a: 'b' });
    const modified = await watch.next();
    assert.equal(modified.type, 'MODIFIED');
    assert.equal(modified.object.metadata.labels.a, 'b');
    await client.delete(`${pods}/since`);
    const deleted = await watch.next();
    assert.equal(deleted.type, 'DELETED');
    assert.ok(
      Number(deleted.object.metadata.resourceVersion) > Number(modified.object.metadata.resourceVersion),
    );
    watch.close();
  });

  test('without a version the watch begins with what there is', async () => {
    await client.post(pods, podNamed('there', { spec: { schedulerName: 'none' } }));
    const watch = await client.watch(`${pods}?watch=true&fieldSelector=metadata.name%3Dthere`);
    const event = await watch.next();
    assert.equal(event.type, 'ADDED');
    assert.equal(event.object.metadata.name, 'there');
    watch.close();
  });

  test('an object that begins or ceases to match is added or deleted for the watcher', async () => {
    const { body: list } = await client.get(pods);
    const watch = await client.watch(
      `${pods}?watch=1&labelSelector=in&resourceVersion=${list.metadata.resourceVersion}`,
    );
    await client.post(pods, podNamed('moving', { spec: { schedulerName: 'none' } }));
    await label('moving', { in: '1' });
    assert.equal((await watch.next()).type, 'ADDED');
    await label('moving', { in: '2' });
    assert.equal((await watch.next()).type, 'MODIFIED');
    await label('moving', { in: null });
    const gone = await watch.next();
    assert.equal(gone.type, 'DELETED');
    assert.equal(gone.object.metadata.labels.in, '2');
    watch.close();
  });

  test('a field selector on the node shows a pod from its binding on', async () => {
    const { body: list } = await client.get(pods);
    const watch = await client.watch(
      `/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1&resourceVersion=${list.metadata.resourceVersion}`,
    );
    await client.post(pods, podNamed('to-n1', { spec: { schedulerName: 'none' } }));
    await client.post(`${pods}/to-n1/binding`, { target: { name: 'n1' } });
    const event = await watch.next();
    assert.equal(event.type, 'ADDED');
    assert.equal(event.object.spec.nodeName, 'n1');
    watch.close();
  });

  test('sendInitialEvents ends the beginning with a bookmark', async () => {
    await client.post(pods, podNamed('initial', { spec: { schedulerName: 'none' } }));
    const watch = await client.watch(
      `${pods}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dinitial`,
    );
    assert.equal((await watch.next()).type, 'ADDED');
    const bookmark = await watch.next();
    assert.equal(bookmark.type, 'BOOKMARK');
    assert.equal(bookmark.object.metadata.annotations['k8s.io/initial-events-end'], 'true');
    watch.close();
    const refused = await client.get(`${pods}?watch=1&sendInitialEvents=true`);
    assert.equal(refused.code, 422);
  });

  test('a watch ends at its timeout, with a bookmark before', async () => {
    const { body: list } = await client.get(pods);
    const watch = await client.watch(
      `${pods}?watch=1&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion=${list.metadata.resourceVersion}`,
    );
    const bookmark = await watch.next();
    assert.equal(bookmark.type, 'BOOKMARK');
    assert.equal(bookmark.object.kind, 'Pod');
    await watch.ended;
  });

  test('a watch that ended while its client did not read gets nothing more', async () => {
    const configMaps = '/api/v1/namespaces/default/configmaps';
    const { body } = await client.post(configMaps, { metadata: { name: 'large' }, data: {} });
    const { ca, admin } = server.pki;
    const { hostname: host, port } = new URL(server.url);
    const deaf = connect({ host, port: Number(port), ca: ca.cert, ...admin });
    await once(deaf, 'secureConnect');
    const query = `watch=1&timeoutSeconds=1&resourceVersion=${body.metadata.resourceVersion}`;
    deaf.write(`GET ${configMaps}?${query} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await once(deaf, 'readable');
    const change = (size: number) => {
      const stored = server.server.store.get('/configmaps', 'default', 'large')!;
      server.server.store.put('/configmaps', { ...stored, data: { text: 'x'.repeat(size) } });
    };
    // More than the buffers on its way take.
    for (let n = 0; n < 20; n++) change(1024 * 1024 + n);
    const later = await client.watch(`${configMaps}?watch=1&timeoutSeconds=2`);
    await later.ended;
    change(1);
    assert.equal((await client.get(`${configMaps}/large`)).code, 200);
    deaf.destroy();
  });

  test('a version whose history is forgotten is 410 Gone', async () => {
    const configMaps = '/api/v1/namespaces/default/configmaps';
    const { body: first } = await client.post(configMaps, { metadata: { name: 'busy' }, data: {} });
    const { body: page } = await client.get(`${configMaps}?limit=1`);
    // More changes than the history keeps, straight in the store: the way over HTTP would take seconds.
    const stored = server.server.store.get('/configmaps', 'default', 'busy')!;
    for (let n = 0; n < 10_000; n++)
      server.server.store.put('/configmaps', { ...stored, data: { n: String(n) } });
    const { code, body } = await client.get(
      `${configMaps}?watch=1&resourceVersion=${first.metadata.resourceVersion}`,
    );
    assert.equal(code, 410);
    assert.equal(body.reason, 'Expired');
    const { body: refused } = await client.get(`${configMaps}?limit=1&continue=${page.metadata.continue}`);
    assert.deepEqual([refused.code, refused.reason], [410, 'Expired']);
    // What the answer offers in its place shows the rest as it is now.
    const { body: rest } = await client.get(`${configMaps}?continue=${refused.metadata.continue}`);
    assert.ok(rest.items.length > 0);
    assert.ok(Number(rest.metadata.resourceVersion) > Number(page.metadata.resourceVersion));
  });

  test('tables name their columns once', async () => {
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };
    const { body: list } = await client.get(pods, headers);
    assert.equal(list.kind, 'Table');
    assert.deepEqual(
      list.columnDefinitions.map((column: { name: string }) => column.name),
      ['Name', 'Ready', 'Status', 'Restarts', 'Age', 'IP', 'Node', 'Nominated Node', 'Readiness Gates'],
    );
    const watch = await client.watch(
      `${pods}?watch=1&resourceVersion=${list.metadata.resourceVersion}`,
      headers,
    );
    await client.post(pods, podNamed('row-1', { spec: { schedulerName: 'none' } }));
    await client.post(pods, podNamed('row-2', { spec: { schedulerName: 'none' } }));
    const [one, two] = [await watch.next(), await watch.next()];
    assert.equal(one.object.columnDefinitions.length, 9);
    assert.equal(one.object.rows[0].cells[0], 'row-1');
    assert.equal(two.object.columnDefinitions, null);
    watch.close();
  });

  test('metadata alone is served to those who want no more', async () => {
    const { body } = await client.get(pods, {
      accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
    });
    assert.equal(body.kind, 'PartialObjectMetadataList');
    assert.equal(body.items[0].spec, undefined);
  });
});
