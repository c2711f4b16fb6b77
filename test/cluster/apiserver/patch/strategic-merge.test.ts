import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { builtinSchema } from '../schema/builtin-schema.js';
import { strategicMerge } from './strategic-merge.js';

const pod = (spec: object) => ({ spec: structuredClone(spec) as Record<string, unknown> });
const merged = (spec: object, patch: object) =>
  strategicMerge(builtinSchema('V1Pod'), pod(spec), { spec: patch })['spec'];

describe('a strategic merge patch', () => {
  test('merges lists by the key of their kind and replaces others whole', () => {
    assert.deepEqual(
      merged(
        { containers: [{ name: 'a', image: '1', args: ['x', 'y'] }], tolerations: [{ key: 'k' }] },
        { containers: [{ name: 'b' }, { name: 'a', args: ['z'] }], tolerations: [{ key: 'l' }] },
      ),
      { containers: [{ name: 'a', image: '1', args: ['z'] }, { name: 'b' }], tolerations: [{ key: 'l' }] },
    );
  });

  test('deletes an item, replaces a list and replaces an object when told', () => {
    assert.deepEqual(
      merged(
        { containers: [{ name: 'a' }, { name: 'b' }], volumes: [{ name: 'v' }], securityContext: { a: 1 } },
        {
          containers: [{ name: 'a', $patch: 'delete' }],
          volumes: [{ $patch: 'replace' }, { name: 'w' }],
          securityContext: { $patch: 'replace', b: 2 },
        },
      ),
      { containers: [{ name: 'b' }], volumes: [{ name: 'w' }], securityContext: { b: 2 } },
    );
  });

  test('keeps only the keys that are to be retained', () => {
    assert.deepEqual(
      merged(
        { volumes: [{ name: 'v', emptyDir: {} }] },
        { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] },
      ),
      { volumes: [{ name: 'v', hostPath: { path: '/x' } }] },
    );
  });

  test('orders a list as the patch says, others staying where they were', () => {
    assert.deepEqual(
      merged(
        { containers: [{ name: 'x' }, { name: 'a' }, { name: 'b' }] },
        {
          '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }],
          containers: [{ name: 'a', image: '2' }],
        },
      ),
      { containers: [{ name: 'x' }, { name: 'b' }, { name: 'a', image: '2' }] },
    );
  });

  test('removes values from a list of plain values', () => {
    const node = { metadata: { finalizers: ['a/b', 'c/d'] } };
    const patch = { metadata: { '$deleteFromPrimitiveList/finalizers': ['a/b'], finalizers: ['e/f'] } };
    assert.deepEqual(strategicMerge(builtinSchema('V1Node'), node, patch), {
      metadata: { finalizers: ['c/d', 'e/f'] },
    });
  });

  test('removes what is null', () => {
    assert.deepEqual(merged({ hostname: 'h', nodeName: 'n' }, { hostname: null }), { nodeName: 'n' });
  });
});
