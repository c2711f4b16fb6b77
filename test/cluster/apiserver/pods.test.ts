import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startTestApiServer, type TestApiServer } from './testing.js';
import { eventually, podNamed, pods, readyNode, TestClient } from './testing-client.js';

const runtimeClasses = '/apis/node.k8s.io/v1/runtimeclasses';

describe('pods', () => {
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

  test('a new pod gets the defaults, a token volume and its quality of service', async () => {
    const { code, body } = await client.post(pods, podNamed('defaults'));
    assert.equal(code, 201);
    assert.equal(body.spec.restartPolicy, 'Always');
    assert.equal(body.spec.terminationGracePeriodSeconds, 30);
    assert.equal(body.spec.serviceAccountName, 'default');
    assert.equal(body.spec.containers[0].imagePullPolicy, 'IfNotPresent');
    assert.match(body.spec.volumes[0].name, /^kube-api-access-[a-z0-9]{5}$/);
    assert.equal(
      body.spec.containers[0].volumeMounts[0].mountPath,
      '/var/run/secrets/kubernetes.io/serviceaccount',
    );
    assert.equal(body.spec.tolerations.length, 2);
    assert.deepEqual(body.status, { phase: 'Pending', qosClass: 'BestEffort' });
    assert.match(body.metadata.uid, /^[0-9a-f-]{36}$/);
    assert.equal(body.metadata.generation, 1);
  });

  test('a copy of a pod keeps its token volume and gets no second one', async () => {
    const { body: original } = await client.post(pods, podNamed('original'));
    const copy = { ...original, metadata: { name: 'copy' } };
    const { body } = await client.post(pods, copy);
    assert.deepEqual(body.spec.volumes, original.spec.volumes);
    assert.deepEqual(body.spec.containers, original.spec.containers);
  });

  test('an untagged image is always pulled, one with a digest or tag only when it is missing', async () => {
    const policies: Record<string, string> = {
      busybox: 'Always',
      'localhost:5000/busybox': 'Always',
      'busybox:latest': 'Always',
      'busybox:1.35': 'IfNotPresent',
      'localhost:5000/busybox:1.35': 'IfNotPresent',
      'busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000': 'IfNotPresent',
    };
    for (const [image, policy] of Object.entries(policies)) {
      const pod = podNamed('image', { spec: { containers: [{ name: 'main', image }] } });
      const { body } = await client.post(`${pods}?dryRun=All`, pod);
      assert.equal(body.spec.containers[0].imagePullPolicy, policy, image);
    }
  });

  test('generateName makes a name', async () => {
    const { body } = await client.post(
      pods,
      podNamed('', { metadata: { name: undefined, generateName: 'made-' } }),
    );
    assert.match(body.metadata.name, /^made-[a-z0-9]{5}$/);
  });

  test('what people get wrong is refused in the words of the real server', async () => {
    const wrong: [object, string][] = [
      [
        podNamed('Upper'),
        'Pod "Upper" is invalid: metadata.name: Invalid value: "Upper": a lowercase RFC 1123 subdomain',
      ],
      [podNamed('x', { spec: { containers: [] } }), 'Pod "x" is invalid: spec.containers: Required value'],
      [podNamed('x', { spec: { containers: [{ name: 'a' }] } }), 'spec.containers[0].image: Required value'],
      [
        podNamed('x', {
          spec: { containers: [{ name: 'a', image: 'b', volumeMounts: [{ name: 'no', mountPath: '/x' }] }] },
        }),
        'spec.containers[0].volumeMounts[0].name: Not found: "no"',
      ],
      [
        podNamed('x', { spec: { restartPolicy: 'Sometimes' } }),
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
      ],
      [
        podNamed('x', { metadata: { labels: { 'a b': 'c' } } }),
        'metadata.labels: Invalid value: "a b": name part must consist of',
      ],
      [
        podNamed('x', { spec: { serviceAccountName: 'nobody' } }),
        'pods "x" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found',
      ],
      [
        podNamed('x', { spec: { runtimeClassName: 'nope' } }),
        'pods "x" is forbidden: pod rejected: RuntimeClass "nope" not found',
      ],
      [podNamed('x', { spec: { priorityClassName: 'nope' } }), 'no PriorityClass with name nope was found'],
      [
        podNamed('x', { spec: { terminationGracePeriodSeconds: 'soon' } }),
        'json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64',
      ],
      [
        podNamed('x', { metadata: { namespace: 'other' } }),
        'the namespace of the provided object does not match the namespace sent on the request',
      ],
    ];
    for (const [pod, message] of wrong) {
      const { code, body } = await client.post(pods, pod);
      assert.ok(code >= 400 && code < 500, message);
      assert.ok(body.message.includes(message), `${body.message}\nshould say\n${message}`);
    }
    const nowhere = await client.post('/api/v1/namespaces/nowhere/pods', podNamed('x'));
    assert.equal(nowhere.body.message, 'namespaces "nowhere" not found');
    const unknown = await client.post(`${pods}?fieldValidation=Strict`, { ...podNamed('x'), specc: {} });
    assert.match(unknown.body.message, /strict decoding error: unknown field "specc"/);
  });

  test('a RuntimeClass brings its overhead and its node selector', async () => {
    await client.post(runtimeClasses, {
      metadata: { name: 'lpm' },
      handler: 'lpm',
      overhead: { podFixed: { cpu: '10m' } },
      scheduling: { nodeSelector: { handler: 'lpm' } },
    });
    const { body } = await client.post(pods, podNamed('with-class', { spec: { runtimeClassName: 'lpm' } }));
    assert.deepEqual(body.spec.overhead, { cpu: '10m' });
    assert.deepEqual(body.spec.nodeSelector, { handler: 'lpm' });
  });

  test('the spec is fixed but for images and more tolerations', async () => {
    const { body } = await client.post(pods, podNamed('fixed'));
    const image = await client.patch(`${pods}/fixed`, 'strategic-merge', {
      spec: { containers: [{ name: 'main', image: 'busybox:1.36' }] },
    });
    assert.equal(image.code, 200);
    assert.equal(image.body.metadata.generation, 2);
    const command = await client.patch(`${pods}/fixed`, 'strategic-merge', {
      spec: { containers: [{ name: 'main', command: ['true'] }] },
    });
    assert.equal(command.code, 422);
    assert.match(command.body.message, /spec: Forbidden: pod updates may not change fields other than/);
    const moved = await client.put(`${pods}/fixed`, {
      ...body,
      spec: { ...body.spec, nodeName: 'elsewhere' },
    });
    assert.equal(moved.code, 409, 'an old resource version comes first');
  });

  test('status and spec are written apart', async () => {
    await client.post(pods, podNamed('apart'));
    await client.patch(`${pods}/apart/status`, 'strategic-merge', {
      spec: { hostname: 'no' },
      status: { phase: 'Running', podIP: '10.0.0.1' },
    });
    await client.patch(`${pods}/apart`, 'merge', {
      metadata: { labels: { a: 'b' } },
      status: { phase: 'Failed' },
    });
    const { body } = await client.get(`${pods}/apart`);
    assert.equal(body.status.phase, 'Running');
    assert.equal(body.spec.hostname, undefined);
    assert.deepEqual(body.metadata.labels, { a: 'b' });
  });

  test('conditions are merged by their type, so that two writers do not overwrite each other', async () => {
    await client.post(pods, podNamed('conditions'));
    const status = `${pods}/conditions/status`;
    await client.patch(status, 'strategic-merge', {
      status: { conditions: [{ type: 'A', status: 'True' }] },
    });
    await client.patch(status, 'strategic-merge', {
      status: { conditions: [{ type: 'B', status: 'True' }] },
    });
    const { body } = await client.patch(status, 'strategic-merge', {
      status: { conditions: [{ type: 'A', status: 'False' }] },
    });
    assert.deepEqual(
      body.status.conditions
        .filter(({ type }: { type: string }) => type !== 'PodScheduled')
        .map(({ type, status }: { type: string; status: string }) => `${type}=${status}`),
      ['A=False', 'B=True'],
    );
  });

  test('an update of an old version is a conflict', async () => {
    const { body } = await client.post(pods, podNamed('stale'));
    await client.patch(`${pods}/stale`, 'merge', { metadata: { labels: { a: '1' } } });
    const { code, body: status } = await client.put(`${pods}/stale`, body);
    assert.equal(code, 409);
    assert.match(
      status.message,
      /the object has been modified; please apply your changes to the latest version/,
    );
  });

  test('writing what is already there makes no new version', async () => {
    await client.post(pods, podNamed('same', { spec: { nodeName: 'some-node' } }));
    const once = await client.patch(`${pods}/same`, 'merge', { metadata: { labels: { a: '1' } } });
    const twice = await client.patch(`${pods}/same`, 'merge', { metadata: { labels: { a: '1' } } });
    assert.equal(twice.body.metadata.resourceVersion, once.body.metadata.resourceVersion);
  });

  describe('deletion', () => {
    test('a pod without a node goes at once, with a node after its grace', async () => {
      await client.post(pods, podNamed('unassigned', { spec: { nodeSelector: { no: 'where' } } }));
      assert.equal((await client.delete(`${pods}/unassigned`)).code, 200);
      assert.equal((await client.get(`${pods}/unassigned`)).code, 404);

      await client.post(pods, podNamed('assigned', { spec: { nodeName: 'some-node' } }));
      const { body } = await client.delete(`${pods}/assigned`);
      assert.equal(body.metadata.deletionGracePeriodSeconds, 30);
      const left = Date.parse(body.metadata.deletionTimestamp) - Date.now();
      assert.ok(left > 25_000 && left < 35_000);
      const again = await client.delete(`${pods}/assigned`);
      assert.equal(again.body.metadata.resourceVersion, body.metadata.resourceVersion);
      const shorter = await client.delete(`${pods}/assigned`, { gracePeriodSeconds: 5 });
      assert.equal(shorter.body.metadata.deletionGracePeriodSeconds, 5);
      const finished = await client.delete(`${pods}/assigned`, {
        gracePeriodSeconds: 0,
        preconditions: { uid: body.metadata.uid },
      });
      assert.equal(finished.code, 200);
      assert.equal((await client.get(`${pods}/assigned`)).code, 404);
    });

    test('preconditions are kept', async () => {
      await client.post(pods, podNamed('guarded'));
      const wrongUid = await client.delete(`${pods}/guarded`, { preconditions: { uid: 'other' } });
      assert.equal(wrongUid.code, 409);
      assert.match(
        wrongUid.body.message,
        /Precondition failed: UID in precondition: other, UID in object meta:/,
      );
      const wrongVersion = await client.delete(`${pods}/guarded`, {
        preconditions: { resourceVersion: '1' },
      });
      assert.equal(wrongVersion.code, 409);
      assert.equal((await client.get(`${pods}/guarded`)).code, 200);
    });

    test('a finalizer holds a pod, and none can be added while it goes', async () => {
      await client.post(pods, podNamed('held', { metadata: { finalizers: ['example.com/hold'] } }));
      assert.ok((await client.delete(`${pods}/held`)).body.metadata.deletionTimestamp);
      const added = await client.patch(`${pods}/held`, 'merge', {
        metadata: { finalizers: ['example.com/hold', 'example.com/more'] },
      });
      assert.match(added.body.message, /no new finalizers can be added if the object is being deleted/);
      await client.patch(`${pods}/held`, 'merge', { metadata: { finalizers: null } });
      assert.equal((await client.get(`${pods}/held`)).code, 404);
    });

    test('a collection is deleted by its labels', async () => {
      for (const name of ['c1', 'c2', 'c3']) {
        await client.post(pods, podNamed(name, { metadata: { labels: { set: name === 'c3' ? 'b' : 'a' } } }));
      }
      await client.delete(`${pods}?labelSelector=set%3Da`, { gracePeriodSeconds: 0 });
      const { body } = await client.get(`${pods}?labelSelector=set`);
      assert.deepEqual(
        body.items.map((pod: { metadata: { name: string } }) => pod.metadata.name),
        ['c3'],
      );
    });

    test('a dry run deletes nothing', async () => {
      await client.post(pods, podNamed('dry'));
      assert.equal((await client.delete(`${pods}/dry?dryRun=All`)).code, 200);
      assert.equal((await client.get(`${pods}/dry`)).code, 200);
    });
  });

  test('binding assigns a pod once', async () => {
    await client.post(pods, podNamed('bound', { spec: { schedulerName: 'mine' } }));
    const binding = { target: { kind: 'Node', name: 'some-node' } };
    assert.equal((await client.post(`${pods}/bound/binding`, binding)).code, 201);
    const { body } = await client.get(`${pods}/bound`);
    assert.equal(body.spec.nodeName, 'some-node');
    assert.equal(body.status.conditions[0].type, 'PodScheduled');
    const again = await client.post(`${pods}/bound/binding`, binding);
    assert.equal(again.code, 409);
    assert.match(again.body.message, /pod bound is already assigned to node "some-node"/);
  });

  test('an eviction asks the disruption budgets', async () => {
    const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
    const labels = { app: 'evicted' };
    await client.post(pods, podNamed('evicted', { metadata: { labels }, spec: { nodeName: 'some-node' } }));
    await client.patch(`${pods}/evicted/status`, 'merge', { status: { phase: 'Running' } });
    await client.post(budgets, {
      metadata: { name: 'budget' },
      spec: { minAvailable: 1, selector: { matchLabels: labels } },
    });
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'evicted' } };
    const refused = await client.post(`${pods}/evicted/eviction`, eviction);
    assert.equal(refused.code, 429);
    assert.match(refused.body.message, /Cannot evict pod as it would violate the pod's disruption budget/);
    const status = { disruptionsAllowed: 1, observedGeneration: 1 };
    await client.patch(`${budgets}/budget/status`, 'merge', { status });
    assert.equal((await client.post(`${pods}/evicted/eviction`, eviction)).code, 201);
    const spent = (await client.get(`${budgets}/budget`)).body.status;
    assert.equal(spent.disruptionsAllowed, 0);
    assert.deepEqual(Object.keys(spent.disruptedPods), ['evicted']);
    assert.ok((await client.get(`${pods}/evicted`)).body.metadata.deletionTimestamp);
  });

  test('selectors and pages choose what is listed', async () => {
    for (const n of [1, 2, 3]) {
      await client.post(pods, podNamed(`page-${n}`, { metadata: { labels: { page: String(n) } } }));
    }
    const names = async (query: string) =>
      (await client.get(`${pods}?${query}`)).body.items.map(
        (pod: { metadata: { name: string } }) => pod.metadata.name,
      );
    assert.deepEqual(await names('labelSelector=page%20in%20(1,3)'), ['page-1', 'page-3']);
    assert.deepEqual(await names('labelSelector=page%20notin%20(1),page'), ['page-2', 'page-3']);
    assert.deepEqual(await names('labelSelector=page!%3D2,page'), ['page-1', 'page-3']);
    assert.deepEqual(await names('fieldSelector=metadata.name%3Dpage-2'), ['page-2']);
    assert.equal((await client.get(`${pods}?fieldSelector=spec.color%3Dred`)).code, 400);
    const first = await client.get(`${pods}?limit=2`);
    assert.equal(first.body.items.length, 2);
    assert.ok(first.body.metadata.remainingItemCount > 0);
    const all: string[] = [];
    let query = 'limit=2';
    for (;;) {
      const { body } = await client.get(`${pods}?${query}`);
      all.push(...body.items.map((pod: { metadata: { name: string } }) => pod.metadata.name));
      if (!body.metadata.continue) break;
      query = `limit=2&continue=${body.metadata.continue}`;
    }
    assert.deepEqual(all, await names(''));
  });
});

describe('scheduling', () => {
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
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- answers of the API are read as they come
  const podOnceIt = (name: string, is: (pod: any) => boolean) =>
    eventually(async () => (await client.get(`${pods}/${name}`)).body, is);
  const scheduled = (name: string) => podOnceIt(name, (pod) => pod.spec.nodeName !== undefined);
  const unschedulable = async (name: string): Promise<string> => {
    const isSo = (condition: { reason?: string }) => condition.reason === 'Unschedulable';
    const pod = await podOnceIt(name, (one) => one.status.conditions?.some(isSo));
    return pod.status.conditions.find(isSo).message;
  };

  test('a pod waits for a node, then gets one, and both are told as events', async () => {
    await client.post(pods, podNamed('early'));
    assert.equal(await unschedulable('early'), 'no nodes available to schedule pods');
    await client.post('/api/v1/nodes', readyNode('worker'));
    const pod = await scheduled('early');
    assert.equal(pod.spec.nodeName, 'worker');
    const { body } = await client.get(
      '/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dearly',
    );
    assert.deepEqual(body.items.map((event: { reason: string }) => event.reason).sort(), [
      'FailedScheduling',
      'Scheduled',
    ]);
  });

  test('taints keep pods away that do not tolerate them', async () => {
    await client.patch('/api/v1/nodes/worker', 'merge', {
      spec: { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] },
    });
    await client.post(pods, podNamed('untolerant'));
    assert.match(await unschedulable('untolerant'), /1 node\(s\) had untolerated taint \{k: v\}/);
    await client.post(
      pods,
      podNamed('tolerant', { spec: { tolerations: [{ key: 'k', operator: 'Exists' }] } }),
    );
    assert.equal((await scheduled('tolerant')).spec.nodeName, 'worker');
    await client.patch('/api/v1/nodes/worker', 'merge', { spec: { taints: null } });
    await scheduled('untolerant');
  });

  test('selectors, affinity, requests and gates are honoured', async () => {
    await client.post('/api/v1/nodes', readyNode('other', { metadata: { labels: { disk: 'ssd' } } }));
    await client.post(pods, podNamed('ssd', { spec: { nodeSelector: { disk: 'ssd' } } }));
    assert.equal((await scheduled('ssd')).spec.nodeName, 'other');
    const nodeSelectorTerms = [{ matchExpressions: [{ key: 'disk', operator: 'DoesNotExist' }] }];
    const affinity = {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
    };
    await client.post(pods, podNamed('no-disk', { spec: { affinity } }));
    assert.equal((await scheduled('no-disk')).spec.nodeName, 'worker');
    const containers = [{ name: 'main', image: 'x', resources: { requests: { cpu: '3' } } }];
    await client.post(pods, podNamed('greedy', { spec: { containers } }));
    assert.match(await unschedulable('greedy'), /2 Insufficient cpu/);
    await client.post(pods, podNamed('gated', { spec: { schedulingGates: [{ name: 'example.com/gate' }] } }));
    const gated = await client.get(`${pods}/gated`);
    assert.equal(gated.body.status.conditions[0].reason, 'SchedulingGated');
    await client.patch(`${pods}/gated`, 'merge', { spec: { schedulingGates: null } });
    await scheduled('gated');
  });
});

describe('lost nodes', () => {
  test('a node that falls silent is tainted, its pods become not ready, and it comes back', async () => {
    const server = await startTestApiServer({ crds: false, controllers: { nodeGraceMs: 50 } });
    const client = new TestClient(server);
    try {
      await client.post('/api/v1/nodes', readyNode('silent'));
      await client.post(pods, podNamed('left', { spec: { nodeName: 'silent' } }));
      await client.patch(`${pods}/left/status`, 'merge', {
        status: { conditions: [{ type: 'Ready', status: 'True' }] },
      });
      const node = await eventually(
        async () => (await client.get('/api/v1/nodes/silent')).body,
        (one) => one.spec.taints?.length === 2,
      );
      assert.deepEqual(
        node.spec.taints.map((taint: { key: string; effect: string }) => `${taint.key}:${taint.effect}`),
        ['node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute'],
      );
      assert.equal(node.status.conditions[0].status, 'Unknown');
      await eventually(
        async () => (await client.get(`${pods}/left`)).body.status.conditions,
        (conditions) =>
          conditions.some(
            (one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'False',
          ),
      );
      await client.patch('/api/v1/nodes/silent/status', 'strategic-merge', {
        status: {
          conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: new Date().toISOString() }],
        },
      });
      await eventually(
        async () => (await client.get('/api/v1/nodes/silent')).body,
        (one) => one.spec.taints === undefined || one.status.conditions[0].status === 'Unknown',
      );
      await client.delete('/api/v1/nodes/silent');
      await eventually(
        async () => (await client.get(`${pods}/left`)).code,
        (code) => code === 404,
      );
    } finally {
      client.close();
      await server.close();
    }
  });
});
