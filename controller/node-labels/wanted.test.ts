import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node } from '../../common/kube/types.js';
import { labelValue, nodePatch } from './wanted.js';

const node = (labels: Record<string, string> = {}, annotations: Record<string, string> = {}): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'k8s-worker', labels, annotations },
});
const ready = {
  handlerReady: true,
  handlerProblem: '',
  criuVersion: '4.2.1',
  criuProblem: '',
  ociRuntime: 'runc',
  ociRuntimeVersion: '1.3.6+ds1',
  runtimeName: 'containerd',
  runtimeVersion: 'v2.1.9',
  setUp: 'ready',
  setUpMessage: 'The handler is registered.',
};
const labels = {
  'lpm.my.domain/ready': 'true',
  'lpm.my.domain/runtime': 'containerd-2.1.9',
  'lpm.my.domain/oci-runtime': 'runc-1.3.6_ds1',
  'lpm.my.domain/criu': '4.2.1',
};

test('a ready node is labelled with the facts, once', () => {
  assert.deepEqual(nodePatch(node(), ready), { metadata: { labels, annotations: {} } });
  assert.equal(nodePatch(node(labels), ready), undefined);
});

test('a node that becomes ready loses the sentence that said why it was not', () => {
  const before = node({ ...labels, 'lpm.my.domain/ready': 'false' }, { 'lpm.my.domain/problem': 'x' });
  assert.deepEqual(nodePatch(before, ready), {
    metadata: { labels: { 'lpm.my.domain/ready': 'true' }, annotations: { 'lpm.my.domain/problem': null } },
  });
});

test('a node that is not ready says why, and what its set-up waits for', () => {
  const patch = nodePatch(node(labels), {
    ...ready,
    handlerReady: false,
    handlerProblem: 'The container runtime offers no handler "lpm".',
    criuVersion: '',
    criuProblem: 'CRIU is not installed on this node.',
    setUp: 'waiting',
    setUpMessage: 'It is restarted when pod a/b is not frozen any more.',
  });
  assert.deepEqual(patch, {
    metadata: {
      labels: { 'lpm.my.domain/ready': 'false', 'lpm.my.domain/criu': null },
      annotations: {
        'lpm.my.domain/problem':
          'The container runtime offers no handler "lpm". It is restarted when pod a/b is not frozen any more. CRIU is not installed on this node.',
      },
    },
  });
});

test('a node whose agent is silent is not ready, and one that never had an agent is left alone', () => {
  assert.equal(nodePatch(node(), undefined), undefined);
  assert.deepEqual(nodePatch(node(labels), undefined)?.metadata, {
    labels: { 'lpm.my.domain/ready': 'false' },
    annotations: { 'lpm.my.domain/problem': 'The agent of this node does not answer.' },
  });
});

test('whatever a version looks like, it can be a label', () => {
  assert.equal(labelValue('cri-o', '1.36.3'), 'cri-o-1.36.3');
  assert.equal(labelValue(`+${'x'.repeat(80)}`), 'x'.repeat(62));
  assert.equal(labelValue('', ''), null);
});
