import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countProblem, countsIn } from './counts.js';

test('counts are found in the counter’s lines', () => {
  assert.deepEqual(countsIn('Counter script starting\nMon: Count=1\nMon: Count=2\n'), [1, 2]);
});

test('a gap, a repeat, a wrong start and nothing at all are each named', () => {
  assert.equal(countProblem([1, 2, 3]), undefined);
  assert.match(countProblem([1, 2, 4]) ?? '', /after 2 comes 4/);
  assert.match(countProblem([1, 2, 2, 3]) ?? '', /after 2 comes 2/);
  assert.match(countProblem([2, 3]) ?? '', /the first count is 2/);
  assert.match(countProblem([]) ?? '', /no count/);
});
