/** How objects go: finalizers, grace, preconditions, owners, and waiting for all that. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../support/until.js';
import { gatedPod, refusal, startSubject, type Plain, type Subject } from './subject.js';

let subject: Subject;
before(async () => (subject = await startSubject()));
after(() => subject.end());

const find = (name: string): Promise<Plain | undefined> => subject.configMaps.find(name, subject.namespace);

/** An owner and what it owns. `blocks` holds back a foreground deletion of the owner. */
async function family(name: string, { blocks = false, finalizers = [] as string[] } = {}): Promise<void> {
  const { configMaps, namespace } = subject;
  const owner = await configMaps.create({ metadata: { name } }, namespace);
  await configMaps.create(
    {
      metadata: {
        name: `${name}-child`,
        finalizers,
        ownerReferences: [
          { apiVersion: 'v1', kind: 'ConfigMap', name, uid: owner.metadata.uid!, blockOwnerDeletion: blocks },
        ],
      },
    },
    namespace,
  );
}

test('a finalizer holds an object until it is taken away, and none may be added then', async () => {
  const { configMaps, namespace } = subject;
  await configMaps.create(
    { metadata: { name: 'held', finalizers: ['lpm.my.domain/conformance'] } },
    namespace,
  );
  assert.equal(await subject.must('delete cm held --wait=false'), 'configmap "held" deleted\n');
  const held = (await find('held'))!;
  assert.ok(held.metadata.deletionTimestamp);

  const late = await refusal(
    configMaps.patch('held', namespace, {
      metadata: { finalizers: ['lpm.my.domain/conformance', 'lpm.my.domain/late'] },
    }),
  );
  assert.equal(late.code, 422);
  assert.match(
    late.message,
    /metadata\.finalizers: Forbidden: no new finalizers can be added if the object is being deleted/,
  );
  await configMaps.delete('held', namespace);
  const waiting = subject.must('wait --for=delete cm/held --timeout=20s');
  await configMaps.patch('held', namespace, { metadata: { finalizers: null } });
  await waiting;
  assert.equal(await find('held'), undefined);
});

test('a deletion that names another UID or version is a conflict', async () => {
  const { configMaps, namespace } = subject;
  const made = await configMaps.create({ metadata: { name: 'meant' } }, namespace);
  const uid = await refusal(configMaps.delete('meant', namespace, { uid: 'another' }));
  assert.deepEqual([uid.code, uid.reason], [409, 'Conflict']);
  // The words differ between versions.
  assert.match(uid.message, /UID in (the )?precondition/);
  const version = await refusal(configMaps.delete('meant', namespace, { resourceVersion: '1' }));
  assert.equal(version.code, 409);
  await configMaps.delete('meant', namespace, {
    uid: made.metadata.uid!,
    resourceVersion: made.metadata.resourceVersion!,
  });
  assert.equal(await find('meant'), undefined);
  assert.equal((await refusal(configMaps.delete('meant', namespace))).code, 404);
});

test('what is owned goes after its owner in the background', async () => {
  await family('back');
  await subject.must('delete cm back --cascade=background');
  assert.equal(await find('back'), undefined);
  await until('the child went too', async () => !(await find('back-child')));
});

test('an owner that is deleted in the foreground waits for what blocks it', async () => {
  await family('front', { blocks: true, finalizers: ['lpm.my.domain/conformance'] });
  await subject.must('delete cm front --cascade=foreground --wait=false');
  await until(
    'the child is being deleted',
    async () => (await find('front-child'))?.metadata.deletionTimestamp,
  );
  assert.deepEqual((await find('front'))?.metadata.finalizers, ['foregroundDeletion']);
  await subject.configMaps.patch('front-child', subject.namespace, { metadata: { finalizers: null } });
  await until('the owner went', async () => !(await find('front')));
  assert.equal(await find('front-child'), undefined);
});

test('orphans stay and forget their owner', async () => {
  await family('orphaned');
  await subject.must('delete cm orphaned --cascade=orphan');
  await until('the owner went', async () => !(await find('orphaned')));
  const child = await find('orphaned-child');
  assert.ok(child);
  assert.equal(child.metadata.ownerReferences, undefined);
});

test('what names an owner that never was is collected', async () => {
  const { configMaps, namespace } = subject;
  const uid = '00000000-0000-0000-0000-000000000001';
  await configMaps.create(
    {
      metadata: {
        name: 'stray',
        ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'never', uid }],
      },
    },
    namespace,
  );
  await until('the stray is collected', async () => !(await find('stray')), { timeoutMs: 60_000 });
});

test('a collection is deleted by its labels', async () => {
  for (const name of ['many-a', 'many-b']) await subject.must(['create', 'cm', name]);
  await subject.must('label cm many-a many-b set=many');
  await subject.must('create cm many-c');
  assert.match(
    await subject.must('delete cm -l set=many'),
    /^configmap "many-a" deleted.*\nconfigmap "many-b" deleted/,
  );
  assert.ok(await find('many-c'));
  await subject.kube.json('DELETE', `/api/v1/namespaces/${subject.namespace}/configmaps`, {
    query: { fieldSelector: 'metadata.name=many-c' },
  });
  assert.equal(await find('many-c'), undefined);
});

test('a pod that no node runs is gone at once, whatever grace it has', async () => {
  const { pods } = subject.kube;
  for (const flags of ['', ' --grace-period=0 --force', ' --now']) {
    await subject.must('create -f -', gatedPod('unplaced', { terminationGracePeriodSeconds: 600 }));
    await subject.must(`delete pod unplaced --timeout=20s${flags}`);
    assert.equal(await pods.find('unplaced', subject.namespace), undefined);
  }
});

test('wait ends when a condition, a value, a creation or an end comes', async () => {
  const kind = 'podmigrations';
  const name = `${subject.kind(kind)}/awaited`;
  const created = subject.must(['wait', '--for=create', name, '--timeout=30s']);
  await subject.migrations.create(
    { metadata: { name: 'awaited' }, spec: { podName: 'a' } },
    subject.namespace,
  );
  await created;
  const condition = subject.must(['wait', '--for=condition=Ready', name, '--timeout=30s']);
  const value = subject.must(['wait', '--for=jsonpath={.status.phase}=Succeeded', name, '--timeout=30s']);
  await subject.migrations.patchStatus('awaited', subject.namespace, {
    phase: 'Succeeded',
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'Conformance',
        message: '',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ],
  });
  assert.match(await condition, /awaited condition met\n$/);
  assert.match(await value, /awaited condition met\n$/);
  const never = await subject.refused(['wait', '--for=condition=Failed', name, '--timeout=1s']);
  assert.match(never, /timed out waiting for the condition on podmigrations\/awaited/);
  const gone = subject.must(['wait', '--for=delete', name, '--timeout=30s']);
  await subject.migrations.delete('awaited', subject.namespace);
  await gone;
});

test('a namespace goes with what is in it, and takes nothing new meanwhile', async () => {
  const { kube, configMaps } = subject;
  const name = `${subject.namespace}-gone`;
  await kube.namespaces.create({ metadata: { name } });
  const object = { metadata: { name: 'inside', finalizers: ['lpm.my.domain/conformance'] } };
  await configMaps.create(object, name);
  try {
    await kube.namespaces.delete(name);
    await until(
      'the namespace is being emptied',
      async () => (await configMaps.find('inside', name))?.metadata.deletionTimestamp,
    );
    assert.equal((await kube.namespaces.get(name)).status?.phase, 'Terminating');
    const late = await refusal(configMaps.create({ metadata: { name: 'late' } }, name));
    assert.deepEqual([late.code, late.reason], [403, 'Forbidden']);
    assert.match(
      late.message,
      /configmaps "late" is forbidden: unable to create new content in namespace .* because it is being terminated/,
    );
    assert.equal(late.status.details?.causes?.[0]?.reason, 'NamespaceTerminating');
  } finally {
    await configMaps.patch('inside', name, { metadata: { finalizers: null } });
  }
  await until('the namespace went', async () => !(await kube.namespaces.find(name)), { timeoutMs: 60_000 });
});
