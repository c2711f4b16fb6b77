import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from './turns.js';

/** A clock that only waiting moves. */
function aClock(start: number) {
  let now = start;
  return {
    now: () => now,
    wait: async (ms: number) => void (now += ms),
    pass: (ms: number) => void (now += ms),
  };
}

test('requests for one container come one after the other, each in a second of its own', async () => {
  const clock = aClock(5_200);
  const turns = new Turns(clock.now, clock.wait);
  let working = 0;
  const seconds: number[] = [];
  const work = async (): Promise<void> => {
    assert.equal(++working, 1);
    seconds.push(Math.floor(clock.now() / 1000));
    await Promise.resolve();
    clock.pass(300);
    working--;
  };
  await Promise.all([1, 2, 3].map(() => turns.take('a', () => [], work)));
  assert.deepEqual(seconds, [5, 6, 7]);
});

test('a request waits for a second in which no archive lies', async () => {
  const clock = aClock(5_999);
  const turns = new Turns(clock.now, clock.wait);
  await turns.take(
    'a',
    () => [4_000, 5_000, 6_000],
    async () => assert.equal(clock.now(), 7_000),
  );
});

test('containers do not wait for each other, nor for one that failed', async () => {
  const clock = aClock(5_000);
  const turns = new Turns(clock.now, clock.wait);
  const fails = turns.take(
    'a',
    () => [],
    () => Promise.reject(new Error('no')),
  );
  await turns.take(
    'b',
    () => [],
    async () => assert.equal(clock.now(), 5_000),
  );
  await assert.rejects(fails);
  await turns.take(
    'a',
    () => [],
    async () => assert.equal(clock.now(), 6_000),
  );
});
