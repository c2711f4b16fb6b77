import assert from 'node:assert/strict';
import { test } from 'node:test';
import { draws } from './draws.js';

const first = (seed: number): number[] => Array.from({ length: 200 }, draws(seed));

test('the same seed draws the same numbers, another one draws others', () => {
  assert.deepEqual(first(7), first(7));
  assert.notDeepEqual(first(7), first(8));
});

test('numbers are drawn from all of 0 to 1', () => {
  const numbers = first(1);
  assert.ok(numbers.every((number) => number >= 0 && number < 1));
  for (const tenth of Array(10).keys()) {
    assert.ok(
      numbers.some((number) => Math.floor(number * 10) === tenth),
      `none from ${tenth / 10}`,
    );
  }
});
