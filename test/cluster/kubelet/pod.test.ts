import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oomScoreAdjust, podCgroup, podLimits } from './cgroups.js';
import { environment, expand, resourceField, type Sources } from './env.js';
import { pullPolicy } from './images.js';
import { parseQuantity, qosClass, specOf } from './pod.js';
import { aPod } from './testing.js';
import { memoryVolumeBytes } from './volumes.js';

const withResources = (requests?: Record<string, string>, limits?: Record<string, string>) =>
  aPod({
    containers: [
      { name: 'main', resources: { ...(requests ? { requests } : {}), ...(limits ? { limits } : {}) } },
    ],
  });

test('quantities are read in all their forms', () => {
  const read = ['250m', '64Mi', '1e3', '2', '0.5', '1G', 'nonsense'].map(parseQuantity);
  assert.deepEqual(read, [0.25, 67_108_864, 1000, 2, 0.5, 1e9, 0]);
});

test('the class of a pod decides its cgroup and who is ended first', () => {
  const best = aPod();
  const burst = withResources({ memory: '1Gi' });
  const sure = withResources(undefined, { cpu: '1', memory: '64Mi' });
  assert.deepEqual([best, burst, sure].map(qosClass), ['BestEffort', 'Burstable', 'Guaranteed']);
  assert.match(podCgroup(best), /^\/kubepods\/besteffort\/pod1111/);
  assert.match(podCgroup(burst), /^\/kubepods\/burstable\/pod1111/);
  assert.match(podCgroup(sure), /^\/kubepods\/pod1111/);
  const score = (pod: typeof best): number => oomScoreAdjust(pod, specOf(pod).containers[0]!, 4 * 2 ** 30);
  assert.deepEqual([best, burst, sure].map(score), [1000, 750, -997]);
});

test('a pod is limited only in what all its containers are', () => {
  const pod = aPod({
    containers: [
      { name: 'a', resources: { limits: { cpu: '500m', memory: '64Mi' } } },
      { name: 'b', resources: { limits: { memory: '64Mi' } } },
    ],
  });
  assert.deepEqual(podLimits(pod), { cpuShares: 512, cpuQuota: 0, memory: 134_217_728 });
});

test('variables refer to earlier ones, $$ escapes, and unknown names stay', () => {
  const variables = new Map([['A', '1']]);
  assert.equal(expand('$(A)-$$(A)-$(B)-$A', variables), '1-$(A)-$(B)-$A');
});

test('the environment comes from the pod, its ConfigMaps and Secrets, in order', async () => {
  const sources: Sources = {
    configMap: async (_, name) => (name === 'cm' ? { K: Buffer.from('v') } : undefined),
    secret: async () => ({ PW: Buffer.from('ö') }),
  };
  const pod = aPod();
  const container = {
    name: 'main',
    envFrom: [{ prefix: 'P_', configMapRef: { name: 'cm' } }],
    env: [
      { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'PW', valueFrom: { secretKeyRef: { name: 's', key: 'PW' } } },
      { name: 'MAYBE', valueFrom: { configMapKeyRef: { name: 'none', key: 'x', optional: true } } },
      { name: 'ALL', value: '$(P_K) $(IP) $(PW)' },
    ],
  };
  const facts = {
    podIp: '10.244.1.5',
    hostIp: '10.88.0.20',
    nodeName: 'n',
    allocatable: { cpu: 2, memory: 2 ** 30 },
  };
  const result = await environment(pod, container, facts, sources);
  assert.equal(result.get('ALL'), 'v 10.244.1.5 ö');
  assert.equal(result.has('MAYBE'), false);
  assert.equal(result.get('KUBERNETES_SERVICE_HOST'), '10.96.0.1');
  const missing = {
    name: 'main',
    env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'none', key: 'x' } } }],
  };
  await assert.rejects(environment(pod, missing, facts, sources), /configmap "none" not found/);
});

test('an image without a tag, or with latest, is always pulled', () => {
  const policies = ['busybox', 'busybox:latest', 'busybox:1.35', 'r.io:5000/x', 'x@sha256:ab'].map((image) =>
    pullPolicy({ name: 'main', image }),
  );
  assert.deepEqual(policies, ['Always', 'Always', 'IfNotPresent', 'Always', 'IfNotPresent']);
});

test('resources of a container are given in units of the divisor; without a limit it is what the node has', () => {
  const pod = withResources({ cpu: '250m', memory: '100Ki' }, { memory: '64Mi' });
  const container = specOf(pod).containers[0]!;
  const field = (resource: string, divisor?: string): string =>
    resourceField(
      pod,
      container,
      { resource, ...(divisor ? { divisor } : {}) },
      { allocatable: { cpu: 2, memory: 2 ** 30 } },
    );
  assert.equal(field('limits.memory', '1Mi'), '64');
  assert.equal(field('requests.cpu'), '1');
  assert.equal(field('requests.cpu', '1m'), '250');
  assert.equal(field('limits.cpu'), '2');
});

test('a volume in memory is as large as its limit, the limit of the pod, or the node', () => {
  const limited = withResources(undefined, { memory: '64Mi' });
  assert.equal(memoryVolumeBytes(aPod(), '1Mi', 2 ** 30), 2 ** 20);
  assert.equal(memoryVolumeBytes(limited, '1Gi', 2 ** 30), 2 ** 26);
  assert.equal(memoryVolumeBytes(aPod(), undefined, 2 ** 30), 2 ** 30);
});
