import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  ApiException,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
  Watch,
  type V1Pod,
} from '@kubernetes/client-node';
import { startTestApiServer, type TestApiServer } from './testing.js';
import { podNamed } from './testing-client.js';

describe('@kubernetes/client-node', () => {
  let server: TestApiServer;
  let config: KubeConfig;
  let core: CoreV1Api;
  before(async () => {
    server = await startTestApiServer();
    config = new KubeConfig();
    config.loadFromFile(server.kubeconfig);
    core = config.makeApiClient(CoreV1Api);
  });
  after(() => server.close());
  const namespace = 'default';

  test('creates, reads, patches, lists and deletes pods', async () => {
    const created = await core.createNamespacedPod({ namespace, body: podNamed('typed') as V1Pod });
    assert.ok(created.metadata?.creationTimestamp instanceof Date);
    const patched = await core.patchNamespacedPod(
      { name: 'typed', namespace, body: { metadata: { labels: { a: 'b' } } } },
      setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
    );
    assert.deepEqual(patched.metadata?.labels, { a: 'b' });
    const list = await core.listNamespacedPod({ namespace, labelSelector: 'a=b' });
    assert.equal(list.items[0]?.metadata?.name, 'typed');
    const status = await core.patchNamespacedPodStatus(
      { name: 'typed', namespace, body: [{ op: 'add', path: '/status/podIP', value: '10.0.0.1' }] },
      setHeaderOptions('Content-Type', PatchStrategy.JsonPatch),
    );
    assert.equal(status.status?.podIP, '10.0.0.1');
    await core.deleteNamespacedPod({
      name: 'typed',
      namespace,
      body: { preconditions: { uid: created.metadata!.uid! } },
    });
    await assert.rejects(
      core.readNamespacedPod({ name: 'typed', namespace }),
      (error) => error instanceof ApiException && error.code === 404,
    );
  });

  test('writes custom resources and their status', async () => {
    const custom = config.makeApiClient(CustomObjectsApi);
    const kind = { group: 'lpm.my.domain', version: 'v1', plural: 'podmigrations', namespace };
    const body = {
      apiVersion: 'lpm.my.domain/v1',
      kind: 'PodMigration',
      metadata: { name: 'm' },
      spec: { podName: 'p' },
    };
    await custom.createNamespacedCustomObject({ ...kind, body });
    await custom.patchNamespacedCustomObjectStatus(
      { ...kind, name: 'm', body: { status: { phase: 'Pending' } } },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
    const read = (await custom.getNamespacedCustomObject({ ...kind, name: 'm' })) as typeof body & {
      status: { phase: string };
    };
    assert.equal(read.status.phase, 'Pending');
    await custom.deleteNamespacedCustomObject({ ...kind, name: 'm' });
  });

  test('watches', async () => {
    const { metadata } = await core.listNamespacedPod({ namespace });
    const seen: string[] = [];
    let enough: () => void;
    const done = new Promise<void>((resolve) => (enough = resolve));
    const controller = await new Watch(config).watch(
      `/api/v1/namespaces/${namespace}/pods`,
      { resourceVersion: metadata!.resourceVersion, allowWatchBookmarks: true },
      (type: string, pod: V1Pod) => {
        seen.push(`${type} ${pod.metadata?.name}`);
        if (type === 'DELETED') enough();
      },
      () => undefined,
    );
    const body = podNamed('seen', { spec: { schedulerName: 'none' } }) as V1Pod;
    await core.createNamespacedPod({ namespace, body });
    await core.deleteNamespacedPod({ name: 'seen', namespace });
    await done;
    controller.abort();
    assert.deepEqual(seen, ['ADDED seen', 'DELETED seen']);
  });
});
