import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkQueue } from './queue.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > deadline) assert.fail(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test('a key that is added many times is worked on once', async () => {
  const seen: string[] = [];
  const queue = new WorkQueue(async (key) => void seen.push(key), { workers: 2 });
  queue.add('a');
  queue.add('a');
  queue.add('b');
  queue.start();
  await turn();
  assert.deepEqual(seen, ['a', 'b']);
  await queue.stop();
});

test('a key is never worked on twice at the same time, and one added meanwhile comes again', async () => {
  let running = 0;
  let most = 0;
  let runs = 0;
  let release = () => {};
  const queue = new WorkQueue(
    async () => {
      runs += 1;
      most = Math.max(most, ++running);
      if (runs === 1) await new Promise<void>((resolve) => (release = resolve));
      running -= 1;
    },
    { workers: 4 },
  ).start();
  queue.add('a');
  queue.add('a');
  queue.add('a');
  await turn();
  assert.equal(runs, 1);
  release();
  await until('second run', () => runs === 2);
  await queue.stop();
  assert.equal(most, 1);
});

test('different keys are worked on at the same time, as many as there are workers', async () => {
  let running = 0;
  const releases: (() => void)[] = [];
  const queue = new WorkQueue(
    async () => {
      running += 1;
      await new Promise<void>((resolve) => releases.push(resolve));
      running -= 1;
    },
    { workers: 2 },
  ).start();
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await turn();
  assert.equal(running, 2);
  assert.equal(queue.depth, 3);
  const stopped = queue.stop();
  releases.forEach((release) => release());
  await stopped;
});

test('a failure is reported and tried again with growing waits until it succeeds', async () => {
  const attempts: number[] = [];
  let runs = 0;
  const queue = new WorkQueue(
    async () => {
      if (++runs < 4) throw new Error('no');
    },
    {
      workers: 1,
      backoff: { initialMs: 1, maxMs: 4 },
      onError: (_key, _error, attempt) => attempts.push(attempt),
    },
  ).start();
  queue.add('a');
  await until('success', () => runs === 4);
  assert.deepEqual(attempts, [1, 2, 3]);
  await queue.stop();
});

test('of several waits for a key the shortest counts', async () => {
  let runs = 0;
  const queue = new WorkQueue(async () => void (runs += 1), { workers: 1 }).start();
  queue.addAfter('a', 60_000);
  queue.addAfter('a', 5);
  queue.addAfter('a', 30_000);
  await until('run', () => runs === 1);
  await queue.stop();
  assert.equal(runs, 1);
});
