import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differs } from './status-writer.js';
import { podStatus, type StatusInput } from './status.js';
import type { PodStatus } from './pod.js';
import { aPod, exited, observed, running } from './testing.js';

const status = (input: Partial<StatusInput>): PodStatus =>
  podStatus({
    pod: aPod(),
    observed: observed(),
    waiting: new Map(),
    terminationMessages: new Map(),
    hostIp: '10.88.0.20',
    now: new Date('2026-01-01T00:00:00Z'),
    ...input,
  });
const condition = (from: PodStatus, type: string): string | undefined =>
  from.conditions?.find((one) => one.type === type)?.status;

test('a pod whose container is being created is Pending and not ready', () => {
  const result = status({});
  assert.equal(result.phase, 'Pending');
  assert.equal(result.containerStatuses?.[0]?.state?.waiting?.reason, 'ContainerCreating');
  assert.equal(condition(result, 'Ready'), 'False');
});

test('a pod whose container runs is Running, ready and has addresses', () => {
  const result = status({ observed: observed([running()]) });
  assert.equal(result.phase, 'Running');
  assert.equal(condition(result, 'Ready'), 'True');
  assert.equal(result.podIP, '10.244.1.5');
  assert.equal(result.hostIP, '10.88.0.20');
  assert.equal(result.containerStatuses?.[0]?.containerID, 'containerd://main-0');
});

test('a restarted container says how often, and how its last run ended', () => {
  const result = status({ observed: observed([exited(3), running({ restart: 1 })]) });
  const container = result.containerStatuses?.[0];
  assert.equal(container?.restartCount, 1);
  assert.equal(container?.lastState?.terminated?.exitCode, 3);
  assert.ok(container?.state?.running);
});

test('a container in its back-off waits as CrashLoopBackOff, in a pod that is still Running', () => {
  const waiting = new Map([['main', { reason: 'CrashLoopBackOff', message: 'back-off 10s' }]]);
  const result = status({ observed: observed([exited(3)]), waiting });
  assert.equal(result.phase, 'Running');
  assert.equal(result.containerStatuses?.[0]?.state?.waiting?.reason, 'CrashLoopBackOff');
  assert.equal(result.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 3);
});

test('the last words of a container are in its terminated state', () => {
  const result = status({
    pod: aPod({ restartPolicy: 'Never' }),
    observed: observed([exited(1)]),
    terminationMessages: new Map([['main-0', 'disk full']]),
  });
  assert.equal(result.phase, 'Failed');
  assert.equal(result.containerStatuses?.[0]?.state?.terminated?.message, 'disk full');
});

test('a deleted pod of which nothing runs any more has a final phase, whatever its restartPolicy', () => {
  const ended = (...runs: ReturnType<typeof exited>[]): PodStatus['phase'] =>
    status({ observed: observed(runs), hasEnded: true }).phase;
  assert.equal(ended(exited(0)), 'Succeeded');
  assert.equal(ended(exited(137)), 'Failed');
  assert.equal(ended(), 'Failed');
});

test('an ended pod stays ended when the runtime has forgotten it', () => {
  const before = status({ pod: aPod({ restartPolicy: 'Never' }), observed: observed([exited(0)]) });
  assert.equal(before.phase, 'Succeeded');
  const after = status({ pod: aPod({ restartPolicy: 'Never' }, before), observed: observed([], []) });
  assert.equal(after.phase, 'Succeeded');
  assert.equal(after.containerStatuses?.[0]?.state?.terminated?.exitCode, 0);
  assert.equal(after.podIP, '10.244.1.5');
});

test('a condition keeps the time of its last change, and conditions of others stay', () => {
  const first = status({ observed: observed([running()]) });
  const foreign = { type: 'example.com/Gate', status: 'True' };
  const pod = aPod({}, { ...first, conditions: [...(first.conditions ?? []), foreign] });
  const later = status({ pod, observed: observed([running()]), now: new Date('2026-01-01T01:00:00Z') });
  assert.deepEqual(
    later.conditions?.find(({ type }) => type === 'Ready'),
    first.conditions?.find(({ type }) => type === 'Ready'),
  );
  assert.ok(later.conditions?.includes(foreign));
});

test('a container that its probes hold back is not ready, and the conditions name it', () => {
  const health = () => ({ started: true, ready: false, failed: undefined });
  const result = status({ observed: observed([running()]), health });
  assert.equal(result.containerStatuses?.[0]?.ready, false);
  assert.equal(condition(result, 'ContainersReady'), 'False');
  const ready = result.conditions?.find(({ type }) => type === 'Ready');
  assert.deepEqual(
    [ready?.reason, ready?.message],
    ['ContainersNotReady', 'containers with unready status: [main]'],
  );
});

test('a sidecar has done its part of the initialization when it has started, and counts for readiness', () => {
  const pod = aPod({ initContainers: [{ name: 'side', restartPolicy: 'Always' }] });
  const runs = observed([running({ name: 'side' }), running()]);
  const health = (id: string) => ({ started: true, ready: !id.startsWith('side'), failed: undefined });
  const result = status({ pod, observed: runs, health });
  assert.deepEqual(
    ['Initialized', 'ContainersReady'].map((type) => condition(result, type)),
    ['True', 'False'],
  );
});

test('a readiness gate holds the pod back, not its containers', () => {
  const pod = aPod({ readinessGates: [{ conditionType: 'example.com/Gate' }] });
  const result = status({ pod, observed: observed([running()]) });
  assert.deepEqual(
    ['Ready', 'ContainersReady'].map((type) => condition(result, type)),
    ['False', 'True'],
  );
});

test('what the node controller made of the conditions is noticed', () => {
  const written = status({ observed: observed([running()]) });
  assert.equal(differs(written, written), false);
  const silenced = (written.conditions ?? []).map((one) =>
    one.type === 'Ready' ? { ...one, status: 'False' } : one,
  );
  assert.equal(differs(written, { ...written, conditions: silenced }), true);
});
