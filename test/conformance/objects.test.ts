/** Objects through the real kubectl: make, read, change, in every way that people and our programs do. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { gatedPod, refusal, startSubject, type Plain, type Subject } from './subject.js';

let subject: Subject;
before(async () => (subject = await startSubject()));
after(() => subject.end());

const configMap = (name: string, data: Record<string, string>, metadata: object = {}): Plain => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});
const json = async <T = Plain>(args: string): Promise<T> =>
  JSON.parse(await subject.must(`${args} -o json`)) as T;

test('apply makes, changes, prunes what it dropped, and leaves alone what it never set', async () => {
  assert.equal(
    await subject.must('apply -f -', configMap('applied', { a: '1', b: '1' })),
    'configmap/applied created\n',
  );
  assert.equal(
    await subject.must('apply -f -', configMap('applied', { a: '1', b: '1' })),
    'configmap/applied unchanged\n',
  );
  await subject.must(['patch', 'cm', 'applied', '--type=merge', '-p', '{"data":{"other":"x"}}']);
  assert.equal(
    await subject.must('apply -f -', configMap('applied', { a: '2' })),
    'configmap/applied configured\n',
  );
  assert.deepEqual((await json('get cm applied')).data, { a: '2', other: 'x' });
  const diff = await subject.kubectl('diff -f -', configMap('applied', { a: '3' }));
  assert.equal(diff.code, 1);
  assert.match(diff.stdout, /^-  a: "2"\n\+  a: "3"$/m);
  assert.equal(
    await subject.must('replace -f -', configMap('applied', { c: '1' })),
    'configmap/applied replaced\n',
  );
  assert.deepEqual((await json('get cm applied')).data, { c: '1' });
});

test('apply on the server side keeps owners of fields and tells conflicts', async () => {
  const apply = (manager: string, data: Record<string, string>, ...more: string[]) =>
    subject.kubectl(
      ['apply', '--server-side', `--field-manager=${manager}`, '-f', '-', ...more],
      configMap('owned', data),
    );
  assert.equal((await apply('one', { a: '1', b: '1' })).stdout, 'configmap/owned serverside-applied\n');
  const conflict = await apply('two', { a: '2' });
  assert.equal(conflict.code, 1);
  assert.match(conflict.stderr, /Apply failed with 1 conflict: conflict with "one": \.data\.a/);
  assert.equal((await apply('two', { a: '2' }, '--force-conflicts')).code, 0);
  assert.equal((await apply('one', {})).code, 0);
  const { data, metadata } = await json('get cm owned --show-managed-fields');
  assert.deepEqual(data, { a: '2' });
  const { managedFields } = metadata as unknown as {
    managedFields: { manager: string; operation: string; fieldsV1: object }[];
  };
  const entry = managedFields.find(({ manager }) => manager === 'two');
  assert.equal(entry?.operation, 'Apply');
  assert.deepEqual(entry?.fieldsV1, { 'f:data': { 'f:a': {} } });
});

test('patches of all types change what they say', async () => {
  await subject.must('create -f -', {
    ...gatedPod('patched'),
    metadata: { name: 'patched', labels: { a: '1', b: '1' } },
  });
  const patch = (type: string, body: object) =>
    subject.must(['patch', 'pod', 'patched', `--type=${type}`, '-p', JSON.stringify(body)]);
  assert.equal(await patch('merge', { metadata: { labels: { a: null, m: '1' } } }), 'pod/patched patched\n');
  assert.equal(
    await patch('merge', { metadata: { labels: { m: '1' } } }),
    'pod/patched patched (no change)\n',
  );
  await patch('json', [
    { op: 'test', path: '/metadata/labels/b', value: '1' },
    { op: 'replace', path: '/metadata/labels/b', value: '2' },
  ]);
  // Merged by the name of the container, where a merge patch would replace the list.
  await patch('strategic', {
    spec: { containers: [{ name: 'main', image: 'docker.io/library/busybox:1.36' }] },
  });
  const { metadata, spec } = await json<Plain & { spec: { containers: Record<string, string>[] } }>(
    'get pod patched',
  );
  assert.deepEqual(metadata.labels, { b: '2', m: '1' });
  assert.deepEqual(
    [spec.containers[0]?.image, spec.containers[0]?.imagePullPolicy],
    ['docker.io/library/busybox:1.36', 'IfNotPresent'],
  );
  const untrue = await subject.refused([
    'patch',
    'pod',
    'patched',
    '--type=json',
    '-p',
    '[{"op":"test","path":"/metadata/labels/b","value":"9"}]',
  ]);
  assert.match(
    untrue,
    /^The request is invalid: the server rejected our request due to an error in our request\n$/,
  );
  const unsupported = await refusal(
    subject.migrations.patch('absent', subject.namespace, { spec: {} }, { type: 'strategic' }),
  );
  assert.equal(unsupported.code, 415);
  await subject.must('delete pod patched --now');
});

test('labels and annotations are set, kept unless told otherwise, and taken away', async () => {
  await subject.must('create configmap marked');
  assert.equal(await subject.must('label cm marked colour=red'), 'configmap/marked labeled\n');
  assert.match(
    await subject.refused('label cm marked colour=blue'),
    /already has a value \(red\), and --overwrite is false/,
  );
  await subject.must('label cm marked colour=blue --overwrite');
  await subject.must('annotate cm marked note=first');
  await subject.must('annotate cm marked note-');
  const { metadata } = await json('get cm marked');
  assert.deepEqual([metadata.labels, metadata.annotations], [{ colour: 'blue' }, undefined]);
  assert.match(
    await subject.refused('label cm marked colour=not/valid --overwrite'),
    /invalid label value|a valid label must be/,
  );
});

test('every output shows what it should, and selectors select', async () => {
  for (const [name, colour] of [
    ['out-b', 'red'],
    ['out-a', 'blue'],
    ['out-c', 'red'],
  ] as const) {
    await subject.must('create -f -', configMap(name, { name }, { labels: { set: 'out', colour } }));
  }
  const get = (rest: string) => subject.must(`get cm -l set=out ${rest}`.trim());
  assert.match(await get(''), /^NAME +DATA +AGE\nout-a +1 +\d+s\nout-b +1 +\d+s\nout-c +1 +\d+s\n$/);
  assert.equal(await get('-o name'), 'configmap/out-a\nconfigmap/out-b\nconfigmap/out-c\n');
  assert.equal(await get('-o jsonpath={.items[*].data.name}'), 'out-a out-b out-c');
  assert.equal(
    await get('-o custom-columns=NAME:.metadata.name,COLOUR:.metadata.labels.colour --no-headers'),
    'out-a   blue\nout-b   red\nout-c   red\n',
  );
  assert.match(
    await get('-o wide --show-labels -L colour'),
    /^NAME +DATA +AGE +COLOUR +LABELS\nout-a +1 +\d+s +blue +colour=blue,set=out\n/,
  );
  assert.match(
    await subject.must('get cm out-a -o yaml'),
    /^apiVersion: v1\ndata:\n {2}name: out-a\nkind: ConfigMap\n/,
  );
  for (const [selector, wanted] of [
    ['colour=red', 'out-b out-c'],
    ['colour!=red', 'out-a'],
    ['colour in (blue,green)', 'out-a'],
    ['colour notin (blue)', 'out-b out-c'],
    ['!colour', ''],
  ] as const) {
    const found = await subject.kube.json<{ items: Plain[] }>(
      'GET',
      `/api/v1/namespaces/${subject.namespace}/configmaps`,
      {
        query: { labelSelector: `set=out,${selector}` },
      },
    );
    assert.equal(found.items.map(({ metadata }) => metadata.name).join(' '), wanted, selector);
  }
  assert.equal(
    await get('--field-selector metadata.name!=out-b -o name'),
    'configmap/out-a\nconfigmap/out-c\n',
  );
  assert.match(
    await subject.refused('get cm --field-selector data.name=x'),
    /"data\.name" is not a known field selector/,
  );
  assert.equal(await subject.must('get cm -l set=out --chunk-size=1 -o name'), await get('-o name'));
  assert.match(
    await subject.must('describe cm out-a'),
    /^Name: +out-a\nNamespace: +lpm-conformance-\w+\nLabels: +colour=blue\n/,
  );
  assert.match(
    (await subject.kubectl('get secrets')).stderr,
    /^No resources found in lpm-conformance-\w+ namespace\.\n$/,
  );
  assert.equal(
    await subject.refused('get cm absent'),
    'Error from server (NotFound): configmaps "absent" not found\n',
  );
});

test('get -w prints a row for each change', async () => {
  await subject.must('create -f -', configMap('followed', { a: '1' }, { labels: { set: 'followed' } }));
  const child = spawn(
    'kubectl',
    ['get', 'cm', '-w', '-l', 'set=followed', '-n', subject.namespace, '--no-headers'],
    {
      env: subject.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async () => (await lines.next()).value as string;
    assert.match(await line(), /^followed +1 /);
    await subject.configMaps.patch('followed', subject.namespace, { data: { b: '2' } });
    assert.match(await line(), /^followed +2 /);
    await subject.configMaps.delete('followed', subject.namespace);
    assert.match(await line(), /^followed +2 /);
  } finally {
    const closed = once(child, 'close');
    child.kill();
    await closed;
  }
});

test('dry runs write nothing', async () => {
  const dry = configMap('dry', { a: '1' });
  assert.equal(await subject.must('create --dry-run=client -f -', dry), 'configmap/dry created (dry run)\n');
  assert.equal(
    await subject.must('create --dry-run=server -f -', dry),
    'configmap/dry created (server dry run)\n',
  );
  assert.match(await subject.must('apply --dry-run=server -o yaml -f -', dry), /uid: /);
  assert.match(await subject.refused('get cm dry'), /NotFound/);
  // The server's dry run admits and validates: the client's does not.
  assert.match(
    await subject.refused(
      'create --dry-run=server -f -',
      subject.migration('dry', { podName: 'a', tcp: 'Keep' }),
    ),
    /spec\.tcp: Unsupported value: "Keep"/,
  );
  await subject.must('create configmap kept');
  await subject.must('delete cm kept --dry-run=server');
  await subject.must('get cm kept');
});

test('a write on top of an older version is a conflict', async () => {
  const { configMaps, namespace } = subject;
  const old = await configMaps.create({ metadata: { name: 'versioned' }, data: { n: '1' } }, namespace);
  const now = await configMaps.patch('versioned', namespace, { data: { n: '2' } });
  assert.ok(Number(now.metadata.resourceVersion) > Number(old.metadata.resourceVersion));
  const conflict = await refusal(configMaps.replace({ ...old, data: { n: '3' } }));
  assert.deepEqual([conflict.code, conflict.reason], [409, 'Conflict']);
  assert.equal(
    conflict.message,
    'Operation cannot be fulfilled on configmaps "versioned": the object has been modified; please apply your changes to the latest version and try again',
  );
  const patched = await refusal(
    configMaps.patch('versioned', namespace, {
      metadata: { resourceVersion: old.metadata.resourceVersion },
      data: { n: '4' },
    }),
  );
  assert.equal(patched.code, 409);
  const same = await configMaps.replace(now);
  assert.equal(same.metadata.resourceVersion, now.metadata.resourceVersion, 'no change is no write');
  // The UID is a precondition of a replacement; in a patch it is a field that cannot change.
  const uid = '00000000-0000-0000-0000-000000000000';
  const replaced = await refusal(configMaps.replace({ ...now, metadata: { ...now.metadata, uid } }));
  assert.deepEqual([replaced.code, replaced.reason], [409, 'Conflict']);
  assert.match(replaced.message, /Precondition failed: UID in precondition: 0{8}-/);
  const moved = await refusal(configMaps.patch('versioned', namespace, { metadata: { uid } }));
  assert.deepEqual([moved.code, moved.status.details?.causes?.[0]?.field], [422, 'metadata.uid']);
});

test('generateName makes names that differ', async () => {
  const { configMaps, namespace } = subject;
  const made = await Promise.all(
    [1, 2, 3].map(() => configMaps.create({ metadata: { generateName: 'made-' } } as never, namespace)),
  );
  const names = made.map(({ metadata }) => metadata.name);
  assert.equal(new Set(names).size, 3);
  for (const name of names) assert.match(name, /^made-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  assert.match(
    await subject.refused('apply -f -', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { generateName: 'x-' },
    }),
    /cannot use generate name with apply/,
  );
});

test('events are told with the object they are about', async () => {
  const { kube, namespace } = subject;
  const pod = (await kube.pods.create(gatedPod('told') as never, namespace)).metadata;
  await kube.events.create(
    {
      metadata: { name: 'told.1', namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', name: 'told', namespace, uid: pod.uid },
      reason: 'Conformance',
      message: 'it was told',
      type: 'Normal',
      source: { component: 'lpm-conformance' },
      firstTimestamp: new Date().toISOString(),
      lastTimestamp: new Date().toISOString(),
      count: 1,
    } as never,
    namespace,
  );
  assert.match(
    await subject.must('get events --field-selector involvedObject.name=told,reason=Conformance'),
    /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\S+ +Normal +Conformance +pod\/told +it was told\n$/,
  );
  assert.match(await subject.must('events --for pod/told'), /Conformance +Pod\/told +it was told/);
  assert.match(
    await subject.must('describe pod told'),
    /Events:\n[^]*Normal +Conformance +\S+ +lpm-conformance +it was told/,
  );
  await subject.must('delete pod told --now');
});
