/** Our kinds: what is refused and how it is said, what is filled in, what is dropped, who may write the status. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../support/until.js';
import { refusal, startSubject, type Plain, type Subject } from './subject.js';

let subject: Subject;
before(async () => (subject = await startSubject()));
after(() => subject.end());

test('defaults are filled in and fields that the schema does not know are dropped', async () => {
  const { namespace, migrations } = subject;
  const made = await migrations.create(
    {
      metadata: { name: 'defaulted' },
      spec: { podName: 'counter', flavour: 'mint' },
    } as never,
    namespace,
    { fieldValidation: 'Ignore' },
  );
  assert.deepEqual(made.spec, { podName: 'counter', tcp: 'Close', timeoutSeconds: 600 });
  assert.equal(made.metadata.generation, 1);
  assert.equal(made.status, undefined);
});

test('field validation refuses, warns or says nothing', async () => {
  const unknown = subject.migration('unknown', { podName: 'counter', flavour: 'mint' });
  const strict = await refusal(create(unknown, { fieldValidation: 'Strict' }));
  assert.equal(strict.code, 400);
  assert.equal(strict.reason, 'BadRequest');
  assert.equal(
    strict.message,
    'PodMigration in version "v1" cannot be handled as a PodMigration: strict decoding error: unknown field "spec.flavour"',
  );
  assert.match(
    await subject.refused('create -f -', unknown),
    /^Error from server \(BadRequest\): .*strict decoding error: unknown field "spec\.flavour"\n$/,
  );
  const warned = await subject.kubectl('create --validate=warn -f -', unknown);
  assert.equal(warned.code, 0, warned.stderr);
  assert.equal(warned.stderr, 'Warning: unknown field "spec.flavour"\n');
  const ignored = await subject.kubectl('create --validate=ignore -f -', {
    ...unknown,
    metadata: { name: 'ignored' },
  });
  assert.deepEqual([ignored.code, ignored.stderr], [0, '']);
});

test('what is wrong by the schema is said field by field', async () => {
  const wrong = await refusal(
    create(subject.migration('wrong', { podName: 'Counter_1', timeoutSeconds: 5, tcp: 'Keep' })),
  );
  assert.equal(wrong.code, 422);
  assert.equal(wrong.reason, 'Invalid');
  assert.deepEqual(
    { name: wrong.status.details?.name, kind: wrong.status.details?.kind },
    { name: 'wrong', kind: 'PodMigration' },
  );
  const causes = [...(wrong.status.details?.causes ?? [])].sort((a, b) => (a.field! < b.field! ? -1 : 1));
  const pattern = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';
  assert.deepEqual(
    causes.filter(({ field }) => field !== '<nil>'),
    [
      {
        reason: 'FieldValueInvalid',
        message: `Invalid value: "Counter_1": spec.podName in body should match '${pattern}'`,
        field: 'spec.podName',
      },
      {
        reason: 'FieldValueNotSupported',
        message: 'Unsupported value: "Keep": supported values: "Close", "Refuse"',
        field: 'spec.tcp',
      },
      {
        reason: 'FieldValueInvalid',
        message: 'Invalid value: 5: spec.timeoutSeconds in body should be greater than or equal to 10',
        field: 'spec.timeoutSeconds',
      },
    ],
  );
});

test('missing, empty, too long and mistyped fields are refused', async () => {
  const causes = async (spec: unknown) =>
    (await refusal(create({ ...subject.migration('wrong'), spec } as Plain))).status.details?.causes?.filter(
      ({ field }) => field !== '<nil>',
    );
  assert.deepEqual(await causes({}), [
    { reason: 'FieldValueRequired', message: 'Required value', field: 'spec.podName' },
  ]);
  assert.deepEqual(await causes(undefined), [
    { reason: 'FieldValueRequired', message: 'Required value', field: 'spec' },
  ]);
  // Of what is wrong with one string, the first is said.
  assert.deepEqual(await causes({ podName: '' }), [
    {
      reason: 'FieldValueInvalid',
      message: 'Invalid value: "": spec.podName in body should be at least 1 chars long',
      field: 'spec.podName',
    },
  ]);
  assert.deepEqual(await causes({ podName: 'a'.repeat(254) }), [
    {
      reason: 'FieldValueTooLong',
      message: 'Too long: may not be more than 253 bytes',
      field: 'spec.podName',
    },
  ]);
  assert.deepEqual(await causes({ podName: 7 }), [
    {
      reason: 'FieldValueTypeInvalid',
      message: 'Invalid value: "integer": spec.podName in body must be of type string: "integer"',
      field: 'spec.podName',
    },
  ]);
});

test('the CEL rule refuses a changed spec in its own words', async () => {
  await subject.must('create -f -', subject.migration('fixed'));
  const message = 'spec is immutable but for cancel and resolution: make a new object instead';
  const changed = await refusal(
    subject.migrations.patch('fixed', subject.namespace, { spec: { podName: 'other' } }),
  );
  assert.equal(changed.code, 422);
  const cause = changed.status.details?.causes?.[0];
  assert.equal(cause?.reason, 'FieldValueInvalid');
  assert.equal(cause?.field, 'spec');
  assert.ok(cause?.message?.endsWith(`: ${message}`), cause?.message);
  const said = await subject.refused([
    'patch',
    subject.kind('podmigrations'),
    'fixed',
    '--type=merge',
    '-p',
    '{"spec":{"tcp":"Refuse"}}',
  ]);
  // Older versions put the value's type, "object", before the rule's message; 1.36 does not.
  assert.match(
    said,
    /^The PodMigration "fixed" is invalid: spec: Invalid value: ("object": )?spec is immutable but for cancel and resolution: make/,
  );
  await subject.must(['label', subject.kind('podmigrations'), 'fixed', 'colour=blue']);
});

test('what may be set later is set later, and a cancellation is not taken back', async () => {
  await subject.must('create -f -', subject.migration('settable'));
  const patch = (spec: object) => subject.migrations.patch('settable', subject.namespace, { spec });
  await patch({ cancel: false });
  assert.equal((await patch({ cancel: true })).spec.cancel, true);
  assert.equal((await refusal(patch({ cancel: null }))).code, 422);
  const back = await refusal(patch({ cancel: false }));
  assert.match(back.status.details?.causes?.[0]?.message ?? '', /spec\.cancel cannot be taken back$/);
  assert.equal((await patch({ resolution: 'Source' })).spec.resolution, 'Source');
  assert.equal((await patch({ resolution: 'Target' })).spec.resolution, 'Target');
  assert.equal((await refusal(patch({ podName: 'other' }))).code, 422);
});

test('spec and status are written through doors of their own', async () => {
  const { migrations, namespace } = subject;
  const made = await migrations.create(
    { metadata: { name: 'doors' }, spec: { podName: 'counter' }, status: { phase: 'Pending' } },
    namespace,
  );
  assert.equal(made.status, undefined);
  const patched = await migrations.patchStatus('doors', namespace, { phase: 'Pending', message: 'waits' });
  assert.deepEqual(patched.status, { phase: 'Pending', message: 'waits' });
  assert.equal(patched.metadata.generation, 1);
  const main = await migrations.patch('doors', namespace, { status: { phase: 'Failed' } });
  assert.equal(main.status?.phase, 'Pending');
  assert.equal(main.metadata.resourceVersion, patched.metadata.resourceVersion);
  const door = await migrations.replaceStatus({
    ...patched,
    metadata: { ...patched.metadata, labels: { through: 'status' } },
    spec: { podName: 'other' },
    status: { phase: 'Failed' },
  });
  assert.deepEqual(
    [door.spec.podName, door.status, door.metadata.labels],
    ['counter', { phase: 'Failed' }, undefined],
  );
  const wrong = await refusal(migrations.patchStatus('doors', namespace, { phase: 'Lost' }));
  assert.equal(wrong.code, 422);
  assert.equal(wrong.status.details?.causes?.[0]?.reason, 'FieldValueNotSupported');
  assert.match(
    wrong.status.details?.causes?.[0]?.message ?? '',
    /^Unsupported value: "Lost": supported values: "Pending", /,
  );
});

test('conditions are a list by type: duplicates are refused, others are merged on the server side', async () => {
  const { migrations, namespace } = subject;
  await migrations.create({ metadata: { name: 'listed' }, spec: { podName: 'counter' } }, namespace);
  const condition = (type: string) => ({
    type,
    status: 'True',
    reason: 'Conformance',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  });
  const twice = await refusal(
    migrations.patchStatus('listed', namespace, { conditions: [condition('A'), condition('A')] }),
  );
  assert.equal(twice.code, 422);
  assert.deepEqual(
    twice.status.details?.causes?.map(({ reason, field, message }) => [reason, field, message]),
    [['FieldValueDuplicate', 'status.conditions[1]', 'Duplicate value: {"type":"A"}']],
  );
  const late = await refusal(
    migrations.patchStatus('listed', namespace, {
      conditions: [{ ...condition('A'), lastTransitionTime: 'yesterday' }],
    }),
  );
  assert.match(late.message, /status\.conditions\[0\]\.lastTransitionTime: Invalid value: "yesterday"/);
  for (const [manager, type] of [
    ['one', 'A'],
    ['two', 'B'],
  ] as const) {
    await migrations.patch(
      'listed',
      namespace,
      { ...subject.migration('listed'), spec: undefined, status: { conditions: [condition(type)] } },
      { type: 'apply', subresource: 'status', query: { fieldManager: manager } },
    );
  }
  const { status } = await migrations.get('listed', namespace);
  assert.deepEqual(status?.conditions?.map(({ type }) => type).sort(), ['A', 'B']);
});

test('404, 409 and 422 come as Status with reason and details', async () => {
  const { migrations, namespace } = subject;
  const absent = await refusal(migrations.get('absent', namespace));
  assert.deepEqual(
    [absent.code, absent.reason, absent.message],
    [404, 'NotFound', `${subject.kind('podmigrations')} "absent" not found`],
  );
  assert.deepEqual(absent.status.details, { name: 'absent', group: subject.group, kind: 'podmigrations' });
  await migrations.create({ metadata: { name: 'there' }, spec: { podName: 'counter' } }, namespace);
  const again = await refusal(
    migrations.create({ metadata: { name: 'there' }, spec: { podName: 'counter' } }, namespace),
  );
  assert.deepEqual(
    [again.code, again.reason, again.message],
    [409, 'AlreadyExists', `${subject.kind('podmigrations')} "there" already exists`],
  );
  const named = await refusal(
    migrations.create({ metadata: { name: 'Not_A_Name' }, spec: { podName: 'counter' } }, namespace),
  );
  assert.equal(named.code, 422);
  assert.equal(named.status.details?.causes?.[0]?.field, 'metadata.name');
  assert.match(named.message, /a lowercase RFC 1123 subdomain must consist of/);
  const nameless = await refusal(migrations.create({ spec: { podName: 'counter' } } as never, namespace));
  assert.match(nameless.message, /metadata\.name: Required value: name or generateName is required/);
  const elsewhere = await refusal(
    migrations.create({ metadata: { name: 'lost' }, spec: { podName: 'counter' } }, `${namespace}-absent`),
  );
  assert.deepEqual([elsewhere.code, elsewhere.message], [404, `namespaces "${namespace}-absent" not found`]);
  const kind = await refusal(subject.kube.json('GET', `/apis/${subject.group}/v1/nothings`));
  assert.equal(kind.code, 404);
});

test('cluster-scoped contents are made without a namespace', async () => {
  const path = `/apis/${subject.group}/v1/podcheckpointcontents`;
  const wrong = await refusal(
    subject.kube.json('POST', path, {
      body: {
        apiVersion: `${subject.group}/v1`,
        kind: 'PodCheckpointContent',
        metadata: { name: 'content' },
        spec: { deletionPolicy: 'Never' },
      },
    }),
  );
  assert.equal(wrong.code, 422);
  assert.match(wrong.message, /spec\.deletionPolicy: Unsupported value: "Never": supported values: /);
});

test('kubectl explains our kinds and prints their columns', async () => {
  const kind = subject.kind('podmigrations');
  const explained = await until('the schema is published', async () => {
    const { code, stdout } = await subject.kubectl(['explain', `${kind}.spec.targetNode`]);
    return code === 0 && stdout;
  });
  assert.match(explained, /^GROUP: +\S+\nKIND: +PodMigration\nVERSION: +v1\n\nFIELD: targetNode <string>\n/);
  assert.match(explained, /Node to migrate to\. Without it the scheduler chooses/);
  const tcp = await subject.must(['explain', `${kind}.spec.tcp`]);
  assert.match(tcp, /ENUM:\n +Close\n +Refuse\n/);
  assert.match(await subject.must(['explain', `${kind}.spec`]), /podName\t<string> -required-/);
  await subject.must('create -f -', subject.migration('shown'));
  await subject.migrations.patchStatus('shown', subject.namespace, {
    phase: 'Succeeded',
    sourceNode: 'a',
    targetNode: 'b',
    downtimeMilliseconds: 123,
    message: 'done well',
  });
  assert.match(
    await subject.must(['get', kind, 'shown']),
    /^NAME +POD +FROM +TO +PHASE +DOWNTIME-MS +AGE\nshown +counter +a +b +Succeeded +123 +\d+s\n$/,
  );
  assert.match(
    await subject.must(['get', kind, 'shown', '-o', 'wide']),
    /RESTORED +MESSAGE +AGE\nshown .* 123 +done well +\d+s\n$/,
  );
  const described = await subject.must(['describe', kind, 'shown']);
  assert.match(described, /^Name: +shown\nNamespace: +lpm-conformance-/);
  assert.match(
    described,
    /Spec:\n +Pod Name: +counter\n +Tcp: +Close\n +Timeout Seconds: +600\nStatus:\n +Downtime Milliseconds: +123\n/,
  );
  const resources = await subject.must(['api-resources', `--api-group=${subject.group}`]);
  assert.match(resources, /^podmigrations +pmig +\S+\/v1 +true +PodMigration$/m);
  assert.match(resources, /^podcheckpointcontents +pcpc +\S+\/v1 +false +PodCheckpointContent$/m);
});

function create(object: Plain, query: Record<string, string> = {}): Promise<Plain> {
  const path = `/apis/${subject.group}/v1/namespaces/${subject.namespace}/podmigrations`;
  return subject.kube.json('POST', path, { body: object, query });
}
