import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  believes,
  candidate,
  conflicted,
  ended,
  looked,
  nextStep,
  unanswered,
  written,
  type Candidate,
  type LeaseSeen,
} from './election.js';

const times = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };
const lease = (holder: string, version = '1', durationMs = 15_000): LeaseSeen => ({
  holder,
  version,
  durationMs,
});
const me = candidate('me');
const leader = (at = 0): Candidate => written(looked(me, undefined, at, times), lease('me'), at, at, times);

const next: [string, Candidate, number, object][] = [
  ['nothing is known: look', me, 0, { do: 'look' }],
  ['there is no lease: make it', looked(me, undefined, 0, times), 0, { do: 'take', from: undefined }],
  ['it was released: take it at once', looked(me, lease(''), 0, times), 0, { do: 'take', from: lease('') }],
  ['somebody holds it: wait', looked(me, lease('you'), 0, times), 0, { do: 'wait', ms: 2000 }],
  ['somebody holds it: look again after a while', looked(me, lease('you'), 0, times), 2000, { do: 'look' }],
  [
    'it has not changed, but not for long enough',
    looked(looked(me, lease('you'), 0, times), lease('you'), 14_000, times),
    14_000,
    { do: 'wait', ms: 1000 },
  ],
  [
    'it has not changed for its duration: take it',
    looked(looked(me, lease('you'), 0, times), lease('you'), 15_000, times),
    15_000,
    { do: 'take', from: lease('you') },
  ],
  [
    'it has changed: the time begins again',
    looked(looked(me, lease('you'), 0, times), lease('you', '2'), 15_000, times),
    16_999,
    { do: 'wait', ms: 1 },
  ],
  [
    'the holder promises another duration than ours: that counts',
    looked(looked(me, lease('you', '1', 60_000), 0, times), lease('you', '1', 60_000), 15_000, times),
    15_000,
    { do: 'wait', ms: 2000 },
  ],
  [
    'it was deleted under its holder: wait as if it were there',
    looked(looked(me, lease('you'), 0, times), undefined, 14_500, times),
    14_500,
    { do: 'wait', ms: 500 },
  ],
  [
    'our own write was carried out, its answer was lost: it is ours',
    looked(me, lease('me'), 0, times),
    0,
    { do: 'take', from: lease('me') },
  ],
  ['we lead: nothing to do yet', leader(), 1999, { do: 'wait', ms: 1 }],
  ['we lead: renew', leader(), 2000, { do: 'renew', from: lease('me') }],
  ['a renewal conflicted: look at once', conflicted(leader(), 2000), 2000, { do: 'look' }],
  ['a renewal had no answer: wait', unanswered(leader(), 2000, times), 2000, { do: 'wait', ms: 2000 }],
  [
    'a renewal had no answer: no longer than we lead',
    unanswered(leader(), 9500, times),
    9500,
    { do: 'wait', ms: 500 },
  ],
  ['never renewed', leader(), 10_000, { do: 'lost', why: 'the lease could not be renewed for 10 s' }],
  [
    'somebody else has it',
    looked(conflicted(leader(), 2000), lease('you', '2'), 2000, times),
    2000,
    { do: 'lost', why: 'you holds the lease now' },
  ],
  [
    'a renewal was answered after the time was over',
    written(leader(), lease('me', '2'), 9000, 10_000, times),
    10_000,
    { do: 'lost', why: 'the lease could not be renewed for 10 s' },
  ],
  ['released', ended(leader(), 'it was released'), 1, { do: 'lost', why: 'it was released' }],
];

for (const [what, state, now, step] of next) {
  test(`election: ${what}`, () => assert.deepEqual(nextStep(state, now, times), step));
}

test('election: the time to lead counts from when the write was sent, not from when it was answered', () => {
  const state = written(looked(me, undefined, 0, times), lease('me'), 1000, 9000, times);
  assert.equal(believes(state, 10_999, times), true);
  assert.equal(believes(state, 11_000, times), false);
});

test('election: a first answer that comes too late makes nobody leader, and the lease is renewed', () => {
  const state = written(looked(me, undefined, 0, times), lease('me'), 0, 10_000, times);
  assert.equal(believes(state, 10_000, times), false);
  assert.deepEqual(nextStep(state, 10_000, times), { do: 'look' });
});
