import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from './backoff.js';
import { backoffKey, plan, type BackingOff, type Plan } from './plan.js';
import type { ObservedPod } from './observed.js';
import { specOf, type Pod } from './pod.js';
import type { Health } from './probes/decision.js';
import { aPod, aSandbox, exited, observed, running } from './testing.js';

const at = (seconds: number): Backoff => new Backoff(() => seconds * 1000);
const planned = (pod: Pod, seen: ObservedPod, backoff = at(200), waits: BackingOff = new Map()): Plan =>
  plan(pod, seen, backoff, waits);
const started = (result: Plan): string[] =>
  result.do === 'change containers'
    ? result.start.map(({ spec, restartCount }) => `${spec.name} ${restartCount}`)
    : [];

test('a new pod gets a sandbox, then all its containers in their order', () => {
  const pod = aPod({ containers: [{ name: 'b' }, { name: 'a' }] });
  assert.deepEqual(planned(pod, observed([], [])), { do: 'create sandbox', attempt: 0, killFirst: false });
  assert.deepEqual(started(planned(pod, observed())), ['b 0', 'a 0']);
});

test('a running pod is left alone', () => {
  assert.deepEqual(planned(aPod(), observed([running()])), { do: 'wait', wakeInMs: undefined });
});

test('a lost sandbox is made anew, with the next attempt', () => {
  const seen = observed([running()], [aSandbox(false)]);
  assert.deepEqual(planned(aPod(), seen), { do: 'create sandbox', attempt: 1, killFirst: true });
});

test('init containers run one after the other, and before the rest', () => {
  const pod = aPod({ initContainers: [{ name: 'i1' }, { name: 'i2' }] });
  assert.deepEqual(started(planned(pod, observed())), ['i1 0']);
  assert.equal(planned(pod, observed([running({ name: 'i1' })])).do, 'wait');
  assert.deepEqual(started(planned(pod, observed([exited(0, { name: 'i1' })]))), ['i2 0']);
  const both = [exited(0, { name: 'i1' }), exited(0, { name: 'i2' })];
  assert.deepEqual(started(planned(pod, observed(both))), ['main 0']);
});

test('init containers that the runtime has forgotten are not run again beside running containers', () => {
  const pod = aPod({ initContainers: [{ name: 'i1' }] });
  assert.equal(planned(pod, observed([running()])).do, 'wait');
});

for (const [policy, exitCode, again] of [
  ['Always', 0, true],
  ['Always', 1, true],
  ['OnFailure', 0, false],
  ['OnFailure', 1, true],
  ['Never', 0, false],
  ['Never', 1, false],
] as const) {
  test(`restartPolicy ${policy}: exit code ${exitCode} ${again ? 'starts it again' : 'ends it'}`, () => {
    const result = planned(aPod({ restartPolicy: policy }), observed([exited(exitCode)]));
    if (again) assert.deepEqual(started(result), ['main 1']);
    else assert.deepEqual(result, { do: 'finish', phase: exitCode === 0 ? 'Succeeded' : 'Failed' });
  });
}

test('the first restart comes at once, the next after 10 s, 20 s, and never more than 5 minutes', () => {
  const pod = aPod();
  let now = 0;
  const backoff = new Backoff(() => now * 1000);
  const key = backoffKey(pod, specOf(pod).containers[0]!);
  const waits: number[] = [];
  for (let restart = 0; restart < 8; restart++) {
    const backingOff: BackingOff = new Map();
    const seen = observed([exited(1, { restart, finishedAt: now })]);
    const result = planned(pod, seen, backoff, backingOff);
    const wait = backingOff.get('main') ?? 0;
    assert.equal(result.do, wait > 0 ? 'wait' : 'change containers');
    waits.push(wait / 1000);
    now += wait / 1000;
    backoff.attempted(key);
    now += 1;
  }
  assert.deepEqual(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
});

test('a container that ran for more than ten minutes starts at once again', () => {
  const pod = aPod();
  let now = 0;
  const backoff = new Backoff(() => now * 1000);
  backoff.attempted(backoffKey(pod, { name: 'main' }));
  now = 700;
  assert.deepEqual(started(planned(pod, observed([exited(1, { finishedAt: 700 })]), backoff)), ['main 1']);
});

test('one container that waits does not keep another from starting', () => {
  const pod = aPod({ containers: [{ name: 'a' }, { name: 'b' }] });
  const backoff = at(101);
  backoff.attempted(backoffKey(pod, { name: 'a' }));
  const waits: BackingOff = new Map();
  const result = planned(pod, observed([exited(1, { name: 'a', finishedAt: 100 })]), backoff, waits);
  assert.deepEqual(started(result), ['b 0']);
  assert.deepEqual([...waits], [['a', 9000]]);
});

const fine: Health = { started: true, ready: true, failed: undefined };
const starting: Health = { started: false, ready: false, failed: undefined };
const dead: Health = { started: true, ready: true, failed: 'liveness' };

test('a container whose liveness probe failed is ended with its own grace period and started again', () => {
  const container = { name: 'main', livenessProbe: { terminationGracePeriodSeconds: 3 } };
  const seen = observed([running()]);
  const result = plan(aPod({ containers: [container] }), seen, at(200), new Map(), () => dead);
  assert.ok(result.do === 'change containers');
  assert.deepEqual(
    result.kill.map(({ message, graceSeconds }) => [message, graceSeconds]),
    [['Container main failed liveness probe, will be restarted', 3]],
  );
  assert.deepEqual(started(result), ['main 1']);
});

test('with restartPolicy Never it is ended and stays so', () => {
  const pod = aPod({ restartPolicy: 'Never' });
  const result = plan(pod, observed([running()]), at(200), new Map(), () => dead);
  assert.ok(result.do === 'change containers');
  assert.deepEqual([result.kill[0]?.message, started(result)], ['Container main failed liveness probe', []]);
});

// Recorded from a kubelet 1.36.2: a pod whose startup probe fails again and again ran at 0, 5, 9, 26, 52, 97, 187 and
// 351 s, with 10 s, 20 s, 40 s, 1m20s, 2m40s and 5m in the messages.
test('a probe that keeps failing restarts twice at once, then after 10 s, 20 s and so on', () => {
  const pod = aPod();
  let now = 0;
  const backoff = new Backoff(() => now * 1000);
  const key = backoffKey(pod, { name: 'main' });
  const messages: number[] = [];
  let runs = [running({ restart: 0, startedAt: 10 })];
  for (let restart = 1; restart <= 7; restart++) {
    now += 4;
    let result = plan(pod, observed(runs), backoff, new Map(), (id) =>
      id === runs[0]?.id ? { ...starting, failed: 'startup' } : fine,
    );
    runs = [exited(137, { restart: restart - 1, finishedAt: now })];
    if (started(result).length === 0) {
      messages.push(backoff.waitMs(key) / 1000);
      now += backoff.remaining(key, now * 1000) / 1000;
      result = plan(pod, observed(runs), backoff, new Map());
    }
    assert.ok(result.do === 'change containers');
    if (result.start[0]?.countsAsFailure) backoff.attempted(key);
    runs = [running({ restart, startedAt: 10 + restart }), ...runs];
  }
  assert.deepEqual(messages, [10, 20, 40, 80, 160]);
});

test('a sidecar lets the next begin once it has started, and init containers wait for each other', () => {
  const pod = aPod({
    initContainers: [{ name: 'i1' }, { name: 'side', restartPolicy: 'Always' }, { name: 'i2' }],
  });
  const i1 = exited(0, { name: 'i1' });
  const side = running({ name: 'side' });
  const next = (runs: Parameters<typeof observed>[0], health: Health): string[] =>
    started(plan(pod, observed(runs), at(200), new Map(), (id) => (id === side.id ? health : fine)));
  assert.deepEqual(next([i1], fine), ['side 0']);
  assert.deepEqual(next([i1, side], starting), []);
  assert.deepEqual(next([i1, side], fine), ['i2 0']);
  assert.deepEqual(next([i1, side, running({ name: 'i2' })], fine), []);
  assert.deepEqual(next([i1, side, exited(0, { name: 'i2' })], fine), ['main 0']);
});

test('a sidecar that ended is started again beside the running containers, also when others may not be', () => {
  const pod = aPod({
    restartPolicy: 'Never',
    initContainers: [{ name: 'side', restartPolicy: 'Always' }],
  });
  const seen = observed([exited(1, { name: 'side' }), running()]);
  assert.deepEqual(started(planned(pod, seen)), ['side 1']);
  const over = observed([running({ name: 'side' }), exited(0)]);
  assert.deepEqual(planned(pod, over), { do: 'finish', phase: 'Succeeded' });
});
