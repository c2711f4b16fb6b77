import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonPath } from './json-path.js';

const object = {
  metadata: { name: 'n', annotations: { 'a.b/c': 'x' } },
  list: [
    { type: 'A', value: 1 },
    { type: 'B', value: 2 },
  ],
};

test('paths of printer columns lead to their values', () => {
  const paths: [string, unknown[]][] = [
    ['.metadata.name', ['n']],
    ['{.metadata.name}', ['n']],
    ['.metadata.annotations.a\\.b/c', ['x']],
    [".metadata.annotations['a.b/c']", ['x']],
    ['.list[0].type', ['A']],
    ['.list[-1].type', ['B']],
    ['.list[*].value', [1, 2]],
    ['.list[?(@.type=="B")].value', [2]],
    ['.list[?(@.type!="B")].value', [1]],
    ['.nothing.here', []],
  ];
  for (const [path, values] of paths) assert.deepEqual(jsonPath(path, object), values, path);
});
