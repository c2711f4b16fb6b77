/** Pods as the API server sees them, without any node: what is admitted, refused, changed and shown. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Pod } from '../../common/kube/types.js';
import { until } from '../support/until.js';
import { gatedPod, refusal, startSubject, type Subject } from './subject.js';

let subject: Subject;
before(async () => (subject = await startSubject()));
after(() => subject.end());

const create = (name: string, spec: Record<string, unknown> = {}): Promise<Pod> =>
  subject.kube.pods.create(gatedPod(name, spec) as never, subject.namespace);

test('a pod gets its defaults, a ServiceAccount with a token, tolerations and a QoS class', async () => {
  const { spec, status } = await create('plain');
  assert.equal(status?.phase, 'Pending');
  assert.equal(status?.qosClass, 'BestEffort');
  assert.deepEqual(
    [spec?.restartPolicy, spec?.dnsPolicy, spec?.terminationGracePeriodSeconds, spec?.schedulerName],
    ['Always', 'ClusterFirst', 30, 'default-scheduler'],
  );
  assert.equal(spec?.serviceAccountName, 'default');
  const [container] = spec?.containers ?? [];
  assert.deepEqual(
    [container?.imagePullPolicy, container?.terminationMessagePath, container?.terminationMessagePolicy],
    ['IfNotPresent', '/dev/termination-log', 'File'],
  );
  assert.match(container?.volumeMounts?.[0]?.name ?? '', /^kube-api-access-[a-z0-9]{5}$/);
  assert.equal(container?.volumeMounts?.[0]?.mountPath, '/var/run/secrets/kubernetes.io/serviceaccount');
  assert.deepEqual(
    spec?.tolerations?.map(({ key, effect, tolerationSeconds }) => [key, effect, tolerationSeconds]),
    [
      ['node.kubernetes.io/not-ready', 'NoExecute', 300],
      ['node.kubernetes.io/unreachable', 'NoExecute', 300],
    ],
  );
  const resources = { requests: { cpu: '100m', memory: '16Mi' }, limits: { cpu: '100m', memory: '16Mi' } };
  const guaranteed = await create('guaranteed', {
    containers: [{ name: 'main', image: 'docker.io/library/busybox:1.35', resources }],
  });
  assert.equal(guaranteed.status?.qosClass, 'Guaranteed');
});

test('a gated pod stands still and says why', async () => {
  await create('gated');
  const condition = await until('the gate is told', async () =>
    (await subject.kube.pods.get('gated', subject.namespace)).status?.conditions?.find(
      ({ type }) => type === 'PodScheduled',
    ),
  );
  assert.deepEqual([condition.status, condition.reason], ['False', 'SchedulingGated']);
  assert.match(
    await subject.must('get pod gated'),
    /^NAME +READY +STATUS +RESTARTS +AGE\ngated +0\/1 +SchedulingGated +0 +\d+s\n$/,
  );
  assert.match(
    await subject.must('get pod gated -o wide'),
    /IP +NODE +NOMINATED NODE +READINESS GATES\ngated .* <none> +<none> +<none> +<none>\n$/,
  );
});

test('a RuntimeClass gives its overhead and place to the pods that name it, and must exist', async () => {
  const { kube, namespace, group } = subject;
  const path = '/apis/node.k8s.io/v1/runtimeclasses';
  const name = group.replaceAll('.', '-');
  await kube.json('POST', path, {
    body: {
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name },
      handler: 'lpm',
      overhead: { podFixed: { memory: '8Mi' } },
      scheduling: { nodeSelector: { 'lpm.my.domain/agent': 'true' } },
    },
  });
  try {
    const admitted = await until('the class is known', () => create('classed', { runtimeClassName: name }));
    assert.deepEqual(admitted.spec?.overhead, { memory: '8Mi' });
    assert.deepEqual(admitted.spec?.nodeSelector, { 'lpm.my.domain/agent': 'true' });
    await kube.pods.delete('classed', namespace);
  } finally {
    await kube.json('DELETE', `${path}/${name}`);
  }
  const unknown = await refusal(create('unclassed', { runtimeClassName: 'lpm-absent' }));
  assert.equal(unknown.code, 403);
  assert.match(
    unknown.message,
    /^pods "unclassed" is forbidden: pod rejected: RuntimeClass "lpm-absent" not found$/,
  );
});

test('of a pod’s spec little may change', async () => {
  const { pods } = subject.kube;
  await create('fixed');
  const change = (patch: object) =>
    pods.patch('fixed', subject.namespace, { spec: patch }, { type: 'strategic' });
  const refused = await refusal(change({ runtimeClassName: 'other', restartPolicy: 'Never' }));
  assert.deepEqual([refused.code, refused.reason], [422, 'Invalid']);
  assert.match(refused.message, /spec: Forbidden: pod updates may not change fields other than/);
  const image = await change({ containers: [{ name: 'main', image: 'docker.io/library/busybox:1.36' }] });
  assert.equal(image.spec?.containers[0]?.image, 'docker.io/library/busybox:1.36');
  const free = await change({ nodeSelector: { 'lpm.my.domain/no': 'node' } });
  assert.deepEqual(free.spec?.nodeSelector, { 'lpm.my.domain/no': 'node' }, 'a gated pod may be narrowed');
});

test('what is wrong with a pod is said by field', async () => {
  const wrong = await refusal(
    create('wrong', {
      restartPolicy: 'Sometimes',
      containers: [
        {
          name: 'main',
          image: 'docker.io/library/busybox:1.35',
          volumeMounts: [{ name: 'none', mountPath: '/x' }],
        },
        { name: 'main' },
      ],
    }),
  );
  assert.equal(wrong.code, 422);
  const fields = wrong.status.details?.causes?.map(({ field, reason }) => `${field} ${reason}`) ?? [];
  for (const expected of [
    'spec.restartPolicy FieldValueNotSupported',
    'spec.containers[0].volumeMounts[0].name FieldValueNotFound',
    'spec.containers[1].image FieldValueRequired',
    'spec.containers[1].name FieldValueDuplicate',
  ]) {
    assert.ok(fields.includes(expected), `${expected} is among ${fields.join(', ')}`);
  }
  assert.match(
    await subject.refused('create -f -', { ...gatedPod('typed'), spec: { containers: 'none' } }),
    /Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec\.spec\.containers of type \[\]v1\.Container/,
  );
  assert.match(
    await subject.refused('create -f -', gatedPod('unknown', { flavour: 'mint' })),
    /strict decoding error: unknown field "spec\.flavour"/,
  );
});

test('the status of a pod is written by its subresource alone', async () => {
  const { pods } = subject.kube;
  const { namespace } = subject;
  const made = await create('statused');
  const ignored = await pods.patch('statused', namespace, { status: { message: 'no' } });
  assert.equal(ignored.status?.message, undefined);
  const written = await pods.patch(
    'statused',
    namespace,
    {
      metadata: { uid: made.metadata.uid },
      status: { message: 'yes', conditions: [{ type: 'lpm.my.domain/Frozen', status: 'True' }] },
    },
    { type: 'strategic', subresource: 'status' },
  );
  assert.equal(written.status?.message, 'yes');
  // Conditions are merged by their type.
  const types = written.status?.conditions?.map(({ type }) => type) ?? [];
  assert.ok(types.includes('lpm.my.domain/Frozen'));
  const later = await pods.patch(
    'statused',
    namespace,
    { status: { conditions: [{ type: 'lpm.my.domain/Thawed', status: 'True' }] } },
    { type: 'strategic', subresource: 'status' },
  );
  assert.ok(later.status?.conditions?.some(({ type }) => type === 'lpm.my.domain/Frozen'));
});

test('an eviction deletes a pod that no budget protects', async () => {
  await create('evicted');
  const path = `/api/v1/namespaces/${subject.namespace}/pods/evicted/eviction`;
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'evicted' } };
  await subject.kube.json('POST', path, { body: eviction });
  assert.equal(await subject.kube.pods.find('evicted', subject.namespace), undefined);
});

test('kubectl shows, describes and explains pods', async () => {
  await create('shown');
  assert.match(
    await subject.must('describe pod shown'),
    /^Name: +shown\n[^]*\nStatus: +Pending\n[^]*\nQoS Class: +BestEffort\n/,
  );
  assert.equal(await subject.must('get pods --field-selector status.phase=Running -o name'), '');
  assert.match(
    await subject.must('get pods --field-selector status.phase=Pending,spec.nodeName= -o name'),
    /^pod\/shown$/m,
  );
  assert.match(await subject.must('explain pod.spec.runtimeClassName'), /FIELD: runtimeClassName <string>/);
  assert.match(await subject.must('api-resources --namespaced --api-group='), /^pods +po +v1 +true +Pod$/m);
  assert.equal(await subject.must('auth can-i create pods'), 'yes\n');
  assert.equal(await subject.must('logs shown'), '');
  const exec = await subject.refused('exec shown -- true');
  assert.match(exec, /pod shown does not have a host assigned/);
});
