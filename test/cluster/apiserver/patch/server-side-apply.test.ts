import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Fields, KubeObject } from '../kube-object.js';
import { builtinSchema } from '../schema/builtin-schema.js';
import { serverSideApply } from './server-side-apply.js';

const about = { group: 'apps', plural: 'deployments', kind: 'Deployment' };
const schema = builtinSchema('V1Deployment');
const empty = (): KubeObject => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' } });

function apply(live: KubeObject, manager: string, applied: Fields, force = false): KubeObject {
  return serverSideApply(about, schema, structuredClone(live), structuredClone(applied), { manager, force });
}

const container = (name: string, more: object = {}) => ({
  spec: { template: { spec: { containers: [{ name, ...more }] } } },
});

const containersOf = (object: KubeObject) =>
  (object.spec as { template: { spec: { containers: Fields[] } } }).template.spec.containers;

describe('server-side apply', () => {
  test('two managers each apply their own container', () => {
    const one = apply(empty(), 'one', container('a', { image: '1' }));
    const both = apply(one, 'two', container('b', { image: '2' }));
    assert.deepEqual(containersOf(both), [
      { name: 'a', image: '1' },
      { name: 'b', image: '2' },
    ]);
  });

  test('what a manager leaves out goes, unless another applied it too', () => {
    const one = apply(empty(), 'one', { metadata: { labels: { mine: '1', shared: '1' } } });
    const both = apply(one, 'two', { metadata: { labels: { shared: '1' } } });
    const less = apply(both, 'one', { metadata: { labels: {} } });
    assert.deepEqual(less.metadata.labels, { shared: '1' });
  });

  test('a container that is no longer applied is removed as a whole', () => {
    const one = apply(empty(), 'one', {
      spec: {
        template: {
          spec: {
            containers: [
              { name: 'a', image: '1' },
              { name: 'b', image: '2' },
            ],
          },
        },
      },
    });
    assert.deepEqual(containersOf(apply(one, 'one', container('a', { image: '1' }))), [
      { name: 'a', image: '1' },
    ]);
  });

  test('another value for what another manager applied is a conflict, and force takes it over', () => {
    const one = apply(empty(), 'one', { spec: { replicas: 1 } });
    assert.throws(
      () => apply(one, 'two', { spec: { replicas: 2 } }),
      /conflict with "one": \.spec\.replicas/,
    );
    const forced = apply(one, 'two', { spec: { replicas: 2 } }, true);
    assert.equal((forced.spec as Fields)['replicas'], 2);
    assert.deepEqual(forced.metadata.managedFields?.at(-1)?.fieldsV1, { 'f:spec': { 'f:replicas': {} } });
    assert.doesNotThrow(() => apply(forced, 'two', { spec: { replicas: 3 } }));
  });

  test('the same value is shared without a conflict', () => {
    const one = apply(empty(), 'one', { spec: { replicas: 1 } });
    assert.doesNotThrow(() => apply(one, 'two', { spec: { replicas: 1 } }));
  });
});
