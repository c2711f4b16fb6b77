import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCa, issueCertificate } from '../pki.js';
import { startApiServer } from './server.js';
import { startTestApiServer, type TestApiServer } from './testing.js';
import { eventually, podNamed, pods, TestClient } from './testing-client.js';

const configMaps = '/api/v1/namespaces/default/configmaps';

describe('owners and dependents', () => {
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

  async function owned(owner: string, dependents: string[], reference: object = {}): Promise<void> {
    const { body } = await client.post(configMaps, { metadata: { name: owner } });
    for (const name of dependents) {
      const ownerReferences = [
        { apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid: body.metadata.uid, ...reference },
      ];
      await client.post(configMaps, { metadata: { name, ownerReferences } });
    }
  }
  const gone = (name: string) =>
    eventually(
      async () => (await client.get(`${configMaps}/${name}`)).code,
      (code) => code === 404,
    );

  test('dependents go after their owner', async () => {
    await owned('bg', ['bg-1', 'bg-2']);
    await client.delete(`${configMaps}/bg`, { propagationPolicy: 'Background' });
    await gone('bg-1');
    await gone('bg-2');
  });

  test('dependents go before their owner when asked for', async () => {
    await owned('fg', ['fg-1'], { blockOwnerDeletion: true });
    await client.patch(`${configMaps}/fg-1`, 'merge', { metadata: { finalizers: ['example.com/hold'] } });
    await client.delete(`${configMaps}/fg`, { propagationPolicy: 'Foreground' });
    await eventually(
      async () => (await client.get(`${configMaps}/fg-1`)).body,
      (body) => body.metadata.deletionTimestamp !== undefined,
    );
    const owner = await client.get(`${configMaps}/fg`);
    assert.deepEqual(owner.body.metadata.finalizers, ['foregroundDeletion']);
    await client.patch(`${configMaps}/fg-1`, 'json', [
      { op: 'test', path: '/metadata/finalizers/0', value: 'example.com/hold' },
      { op: 'remove', path: '/metadata/finalizers/0' },
    ]);
    // The dependent itself was deleted in the foreground and has nothing below it.
    await gone('fg-1');
    await gone('fg');
  });

  test('dependents stay without their owner when they are orphaned', async () => {
    await owned('or', ['or-1']);
    await client.delete(`${configMaps}/or`, { propagationPolicy: 'Orphan' });
    await gone('or');
    const { body } = await client.get(`${configMaps}/or-1`);
    assert.equal(body.metadata.ownerReferences, undefined);
  });

  test('an object with two owners stays while one of them does', async () => {
    await owned('first', ['shared']);
    const { body: second } = await client.post(configMaps, { metadata: { name: 'second' } });
    await client.patch(`${configMaps}/shared`, 'strategic-merge', {
      metadata: {
        ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'second', uid: second.metadata.uid }],
      },
    });
    await client.delete(`${configMaps}/first`);
    const left = await eventually(
      async () => (await client.get(`${configMaps}/shared`)).body.metadata.ownerReferences,
      (references) => references.length === 1,
    );
    assert.equal(left[0].name, 'second');
  });

  test('an object whose owner never was goes too', async () => {
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Pod', name: 'ghost', uid: 'no-such-uid' }];
    await client.post(configMaps, { metadata: { name: 'lost', ownerReferences } });
    await gone('lost');
  });

  test('a namespace has its account and certificate, and is emptied before it goes', async () => {
    await client.post('/api/v1/namespaces', { metadata: { name: 'full' } });
    for (const path of ['serviceaccounts/default', 'configmaps/kube-root-ca.crt']) {
      const ask = async () => (await client.get(`/api/v1/namespaces/full/${path}`)).code;
      await eventually(ask, (code) => code === 200);
    }
    const held = podNamed('held', { metadata: { finalizers: ['example.com/hold'] } });
    await client.post('/api/v1/namespaces/full/pods', held);
    await client.delete('/api/v1/namespaces/full');
    await eventually(
      async () => (await client.get('/api/v1/namespaces/full')).body.status.phase,
      (phase) => phase === 'Terminating',
    );
    const refused = await client.post('/api/v1/namespaces/full/pods', podNamed('late'));
    assert.equal(refused.code, 403);
    assert.match(
      refused.body.message,
      /unable to create new content in namespace full because it is being terminated/,
    );
    assert.equal(refused.body.details.causes[0].reason, 'NamespaceTerminating');
    await client.patch('/api/v1/namespaces/full/pods/held', 'merge', { metadata: { finalizers: null } });
    await eventually(
      async () => (await client.get('/api/v1/namespaces/full')).code,
      (code) => code === 404,
    );
    assert.equal((await client.delete('/api/v1/namespaces/default')).code, 403);
  });

  test('an event is the same in both of its groups', async () => {
    const { body: pod } = await client.post(pods, podNamed('told'));
    await client.post('/apis/events.k8s.io/v1/namespaces/default/events', {
      metadata: { name: 'told.1' },
      regarding: { kind: 'Pod', name: 'told', namespace: 'default', uid: pod.metadata.uid },
      note: 'something happened',
      reason: 'Happened',
      type: 'Normal',
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'example.com/teller',
      reportingInstance: 'teller-1',
      action: 'Telling',
    });
    const { body } = await client.get('/api/v1/namespaces/default/events/told.1');
    assert.equal(body.message, 'something happened');
    assert.equal(body.involvedObject.name, 'told');
    assert.equal(body.reportingComponent, 'example.com/teller');
    const { body: list } = await client.get(
      `/apis/events.k8s.io/v1/events?fieldSelector=involvedObject.uid%3D${pod.metadata.uid}`,
    );
    assert.ok(list.items.some((event: { note: string }) => event.note === 'something happened'));
  });
});

describe('who asks', () => {
  let server: TestApiServer;
  let client: TestClient;
  before(async () => {
    server = await startTestApiServer({
      crds: false,
      tokens: { 'a-token': { username: 'somebody', groups: ['people'] } },
    });
    client = new TestClient(server);
  });
  after(async () => {
    client.close();
    await server.close();
  });
  const whoIs = async (token: string) => {
    const { body } = await client.request(
      'POST',
      '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      {},
      { authorization: `Bearer ${token}` },
    );
    return body;
  };

  test('a configured token, and no other, is accepted', async () => {
    assert.equal((await whoIs('a-token')).status.userInfo.username, 'somebody');
    assert.equal((await whoIs('nonsense')).code, 401);
    const open = await client.request('GET', '/readyz', undefined, { authorization: 'Bearer nonsense' });
    assert.equal(open.text, 'ok');
  });

  test('a token of a pod is good for as long as the pod lives, and a review says whose it is', async () => {
    const { body: pod } = await client.post(pods, podNamed('bearer', { spec: { nodeName: 'n1' } }));
    const { body: request } = await client.post('/api/v1/namespaces/default/serviceaccounts/default/token', {
      spec: {
        audiences: ['lpm-agent'],
        expirationSeconds: 600,
        boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'bearer', uid: pod.metadata.uid },
      },
    });
    const { token } = request.status;
    const review = async (audiences: string[]) =>
      (await client.post('/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token, audiences } })).body
        .status;
    const status = await review(['lpm-agent']);
    assert.equal(status.authenticated, true);
    assert.equal(status.user.username, 'system:serviceaccount:default:default');
    assert.deepEqual(status.user.extra['authentication.kubernetes.io/pod-name'], ['bearer']);
    assert.deepEqual(status.audiences, ['lpm-agent']);
    assert.equal((await review(['other'])).authenticated, false);
    await client.delete(`${pods}/bearer`, { gracePeriodSeconds: 0 });
    assert.equal((await review(['lpm-agent'])).authenticated, false);
  });

  test('everything is allowed, as said', async () => {
    const { body } = await client.post('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      spec: { user: 'anybody', resourceAttributes: { verb: 'delete', resource: 'pods' } },
    });
    assert.equal(body.status.allowed, true);
  });
});

test('the server listens on unix sockets too, and replaces one that was left behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lpm-socket-'));
  const path = join(folder, 'api.sock');
  await writeFile(path, '');
  const ca = await createCa('ca');
  const pair = await issueCertificate(ca, {
    commonName: 'api',
    dnsNames: ['localhost'],
    usages: ['server', 'client'],
  });
  const server = await startApiServer({ listen: [{ path }], tls: { ...pair, ca: ca.cert } });
  try {
    const code = await new Promise((resolve, reject) => {
      const outgoing = request(
        {
          socketPath: path,
          servername: 'localhost',
          path: '/api/v1/pods',
          ca: ca.cert,
          ...pair,
          agent: false,
        },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      outgoing.once('error', reject);
      outgoing.end();
    });
    assert.equal(code, 200);
    assert.deepEqual(server.addresses, [path]);
  } finally {
    await server.close();
    await rm(folder, { recursive: true });
  }
});

test('the state survives a restart, and watches from before it have to list again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lpm-state-'));
  const stateFile = join(folder, 'state.json');
  const first = await startTestApiServer({ crds: false, stateFile });
  const before = new TestClient(first);
  const { body: created } = await before.post(configMaps, { metadata: { name: 'kept' }, data: { a: 'b' } });
  before.close();
  await first.close();
  const second = await startTestApiServer({ crds: false, stateFile });
  const client = new TestClient(second);
  try {
    const { body } = await client.get(`${configMaps}/kept`);
    assert.deepEqual(body, created);
    const watch = await client.get(
      `${configMaps}?watch=1&resourceVersion=${Number(created.metadata.resourceVersion) - 1}`,
    );
    assert.equal(watch.code, 410);
    const { body: next } = await client.post(configMaps, { metadata: { name: 'next' } });
    assert.ok(Number(next.metadata.resourceVersion) > Number(created.metadata.resourceVersion));
  } finally {
    client.close();
    await second.close();
    await rm(folder, { recursive: true });
  }
});
