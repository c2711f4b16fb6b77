import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuantity } from '../quantity.js';
import { humanDuration } from './time.js';

test('durations read as in kubectl', () => {
  const seconds: [number, string][] = [
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [150, '2m30s'],
    [600, '10m'],
    [3 * 3600, '3h'],
    [3 * 3600 + 60, '3h1m'],
    [9 * 3600, '9h'],
    [47 * 3600, '47h'],
    [48 * 3600, '2d'],
    [50 * 3600, '2d2h'],
    [30 * 86400, '30d'],
    [3 * 365 * 86400, '3y'],
  ];
  for (const [value, text] of seconds) assert.equal(humanDuration(value * 1000), text);
});

test('quantities have their suffixes', () => {
  const quantities: [string, number | undefined][] = [
    ['1', 1],
    ['500m', 0.5],
    ['4Gi', 4 * 2 ** 30],
    ['1k', 1000],
    ['1e3', 1000],
    ['.5', 0.5],
    ['1Kib', undefined],
    ['', undefined],
  ];
  for (const [text, value] of quantities) assert.equal(parseQuantity(text), value, text);
});
