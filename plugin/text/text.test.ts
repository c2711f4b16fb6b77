import assert from 'node:assert/strict';
import { test } from 'node:test';
import { share, size } from './bytes.js';
import { parseDuration } from '../../common/duration.js';
import { age, amountOfTime, stopwatch } from './duration.js';
import { distance, either, near } from './suggest.js';
import { table } from './table.js';

test('durations are read in kubectl’s form, and what is none is refused', () => {
  assert.equal(parseDuration('10m'), 600_000);
  assert.equal(parseDuration('1h30m'), 5_400_000);
  assert.equal(parseDuration('1.5s'), 1500);
  assert.equal(parseDuration('250ms'), 250);
  assert.equal(parseDuration('90'), 90_000);
  assert.equal(parseDuration('0'), 0);
  for (const wrong of ['', 'soon', '5 m', '-3s', 's', '10d']) {
    assert.equal(parseDuration(wrong), undefined, wrong);
  }
});

test('a stopwatch never jumps back when it goes from seconds to minutes', () => {
  assert.equal(stopwatch(0), '0.0s');
  assert.equal(stopwatch(-5), '0.0s');
  assert.equal(stopwatch(12_345), '12.3s');
  assert.equal(stopwatch(59_949), '59.9s');
  assert.equal(stopwatch(59_950), '1m00s');
  assert.equal(stopwatch(65_000), '1m05s');
  assert.equal(stopwatch(3_725_000), '1h02m');
});

test('amounts of time have about three digits', () => {
  assert.equal(amountOfTime(446), '446 ms');
  assert.equal(amountOfTime(2134), '2.13 s');
  assert.equal(amountOfTime(21_340), '21.3 s');
  assert.equal(amountOfTime(65_000), '1m05s');
});

test('ages are rounded as kubectl rounds them', () => {
  const s = 1000;
  assert.equal(age(-3 * s), '0s');
  assert.equal(age(119 * s), '119s');
  assert.equal(age(125 * s), '2m5s');
  assert.equal(age(120 * s), '2m');
  assert.equal(age(15 * 60 * s), '15m');
  assert.equal(age(5.5 * 3600 * s), '5h30m');
  assert.equal(age(30 * 3600 * s), '30h');
  assert.equal(age(3 * 86_400 * s + 2 * 3600 * s), '3d2h');
  assert.equal(age(100 * 86_400 * s), '100d');
});

test('sizes keep their unit between done and total', () => {
  assert.equal(size(512), '512 B');
  assert.equal(size(1_258_291), '1.2 MiB');
  assert.equal(size(1024 ** 2 - 1), '1.0 MiB');
  assert.equal(size(300 * 1024 ** 2), '300 MiB');
  assert.equal(share(0, 45 * 1024 ** 2), '0.0 of 45.0 MiB');
  assert.equal(share(12.3 * 1024 ** 2, 45 * 1024 ** 2), '12.3 of 45.0 MiB');
  assert.equal(share(100, 200), '100 of 200 B');
  assert.equal(share(2048, undefined), '2.0 KiB');
});

test('near names are found by a slip of the finger and by their beginning', () => {
  assert.equal(distance('counter', 'conuter'), 1);
  assert.deepEqual(near('countr', ['counter', 'web', 'redis']), ['counter']);
  assert.deepEqual(near('counter', ['counter-7d9f-x2x1k', 'web']), ['counter-7d9f-x2x1k']);
  assert.deepEqual(near('coutner', ['counter-7d9f-x2x1k', 'web']), ['counter-7d9f-x2x1k']);
  assert.deepEqual(near('bgi-1', ['big-1-restored', 'big-22-restored']), ['big-1-restored']);
  assert.deepEqual(near('web', ['redis', 'postgres']), []);
  assert.equal(either(['a']), '"a"');
  assert.equal(either(['a', 'b', 'c']), '"a", "b" or "c"');
});

test('a table has no lines, no colours and no trailing blanks', () => {
  assert.deepEqual(
    table(
      ['NAME', 'AGE'],
      [
        ['counter-x7k2p', '5m'],
        ['web', '3d2h'],
      ],
    ),
    ['NAME            AGE', 'counter-x7k2p   5m', 'web             3d2h'],
  );
});
