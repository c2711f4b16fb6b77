import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  firstAttemptInMs,
  healthOf,
  initialState,
  judge,
  probeEvent,
  type Probe,
  type ProbeKind,
  type ProbeOutcome,
} from './decision.js';

/** One letter for each attempt: s(uccess), f(ailure), u(nknown); the result after each of them. */
function results(kind: ProbeKind, probe: Probe, attempts: string): string {
  let state = initialState(kind);
  return [...attempts]
    .map((letter) => {
      const result = ({ s: 'success', f: 'failure', u: 'unknown' } as const)[letter as 's' | 'f' | 'u'];
      state = judge(probe, kind, state, { result, output: '' });
      return state.result[0];
    })
    .join('');
}

for (const [what, kind, probe, attempts, expected] of [
  ['a container is alive until three attempts in a row failed', 'liveness', {}, 'ffsfff', 'sssssf'],
  ['an attempt that cannot be made changes nothing', 'liveness', { failureThreshold: 2 }, 'fuuuuf', 'sssssf'],
  ['nothing but such attempts is nothing', 'readiness', {}, 'suuuuuuu', 'ssssssss'],
  ['a container is not ready before its first success', 'readiness', { failureThreshold: 1 }, 'ffs', 'ffs'],
  ['readiness comes back', 'readiness', { failureThreshold: 2 }, 'sfffss', 'ssffss'],
  ['success may be asked for more than once', 'readiness', { successThreshold: 3 }, 'sssfss', 'ffssss'],
  ['a start is open until it succeeds or fails', 'startup', { failureThreshold: 3 }, 'ffs', 'uus'],
  ['a start fails', 'startup', { failureThreshold: 3 }, 'fff', 'uuf'],
] as const) {
  test(`${kind}: ${what}`, () => assert.equal(results(kind, probe, attempts), expected));
}

test('after a failed liveness probe no attempt is made in this run', () => {
  const outcome: ProbeOutcome = { result: 'failure', output: '' };
  const probe = { failureThreshold: 1 };
  assert.equal(judge(probe, 'liveness', initialState('liveness'), outcome).onHold, true);
  assert.equal(judge(probe, 'readiness', initialState('readiness'), outcome).onHold, false);
});

test('the other probes wait for the startup probe, and each for its own delay', () => {
  const delayed = { initialDelaySeconds: 5 };
  const attempt = (kind: ProbeKind, runningForMs: number, started: boolean) =>
    firstAttemptInMs(delayed, kind, { runningForMs, started });
  assert.equal(attempt('startup', 1000, false), 4000);
  assert.equal(attempt('readiness', 1000, false), undefined);
  assert.equal(attempt('readiness', 7000, true), 0);
});

test('a container without probes is started, ready and alive; one with a startup probe not before that', () => {
  assert.deepEqual(healthOf({}), { started: true, ready: true, failed: undefined });
  const fresh = healthOf({ startup: initialState('startup'), readiness: initialState('readiness') });
  assert.deepEqual(fresh, { started: false, ready: false, failed: undefined });
});

test('a kubelet that starts anew keeps what the status of a running container said', () => {
  const known = { ready: true, started: true };
  const states = {
    startup: initialState('startup', known),
    readiness: initialState('readiness', known),
  };
  assert.equal(healthOf(states).ready, true);
});

// Recorded from a kubelet 1.36.2 with containerd 2.1.9 whose containers were frozen.
test('the events read as the kubelet writes them', () => {
  assert.equal(
    probeEvent('liveness', {
      result: 'failure',
      output:
        'Get "http://10.244.20.4:8080/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
    }),
    'Liveness probe failed: Get "http://10.244.20.4:8080/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
  );
  assert.equal(
    probeEvent('readiness', { result: 'unknown', output: 'rpc error: code = Unknown desc = failed to exec' }),
    'Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec',
  );
  assert.equal(probeEvent('startup', { result: 'success', output: '' }), undefined);
});
