/** Whose token leads to a certificate, and for which node. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, TokenReviewStatus } from '../../common/kube/types.js';
import { boundPod, mayBeToken, nodeOfAgent } from './caller.js';

const NAMESPACE = 'system';
const extra = {
  'authentication.kubernetes.io/pod-name': ['agent-1'],
  'authentication.kubernetes.io/pod-uid': ['u1'],
  'authentication.kubernetes.io/node-name': ['worker'],
};
const review = (change: object = {}, user: object = {}): TokenReviewStatus => ({
  authenticated: true,
  audiences: ['lpm-controller-signer'],
  user: { username: 'system:serviceaccount:system:lpm-checkpoint-agent', extra, ...user },
  ...change,
});
const pod = (change: { spec?: object; metadata?: object; status?: object } = {}): Pod => ({
  metadata: { name: 'agent-1', uid: 'u1', labels: { app: 'checkpoint-agent' }, ...change.metadata },
  spec: { nodeName: 'worker', serviceAccountName: 'lpm-checkpoint-agent', containers: [], ...change.spec },
  status: { phase: 'Running', ...change.status },
});

test('the token of an agent’s pod stands for its node', () => {
  const bound = boundPod(review(), NAMESPACE);
  assert.deepEqual(bound, { name: 'agent-1', uid: 'u1', nodeName: 'worker' });
  assert.equal(nodeOfAgent(bound, pod()), 'worker');
});

test('an API server that does not tell the node leaves it to the pod', () => {
  const { 'authentication.kubernetes.io/node-name': _, ...older } = extra;
  assert.equal(nodeOfAgent(boundPod(review({}, { extra: older }), NAMESPACE), pod()), 'worker');
});

for (const [what, status, why] of [
  ['that is not valid', review({ authenticated: false, error: 'expired' }), /expired/],
  ['for somebody else', review({ audiences: ['https://kubernetes.default.svc'] }), /not valid/],
  ['reviewed by who does not know audiences', review({ audiences: undefined }), /not valid/],
  [
    'of another account',
    review({}, { username: 'system:serviceaccount:system:default' }),
    /that of .*:default/,
  ],
  [
    'of a namesake elsewhere',
    review({}, { username: 'system:serviceaccount:other:lpm-checkpoint-agent' }),
    /that of .*:other:/,
  ],
  ['that is bound to no pod', review({}, { extra: {} }), /not bound to a pod/],
] as const) {
  test(`a token ${what} is refused`, () => {
    assert.throws(() => boundPod(status as TokenReviewStatus, NAMESPACE), why);
  });
}

for (const [what, live, why] of [
  ['is gone', undefined, /is gone/],
  ['is another one by the same name', pod({ metadata: { uid: 'u2' } }), /is gone/],
  ['is no agent', pod({ metadata: { labels: {} } }), /is no agent/],
  ['runs by another account', pod({ spec: { serviceAccountName: 'default' } }), /is no agent/],
  ['has ended', pod({ status: { phase: 'Failed' } }), /has ended/],
  ['is on another node', pod({ spec: { nodeName: 'master' } }), /not on the node/],
  ['is on no node', pod({ spec: { nodeName: undefined } }), /not on the node/],
] as const) {
  test(`a token whose pod ${what} is refused`, () => {
    assert.throws(() => nodeOfAgent(boundPod(review(), NAMESPACE), live as Pod | undefined), why);
  });
}

test('what cannot be a token for us is not worth a question', () => {
  const token = (payload: unknown) => `e30.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.x`;
  assert.ok(mayBeToken(token({ aud: ['lpm-controller-signer'] })));
  assert.ok(mayBeToken(token({ aud: 'lpm-controller-signer' })));
  for (const one of ['', 'a.b', 'a.b.c', 'a.b.c.d', token({}), token(null), token({ aud: ['x'] })]) {
    assert.ok(!mayBeToken(one), one);
  }
  assert.ok(!mayBeToken(token({ aud: ['lpm-controller-signer'], more: 'x'.repeat(20_000) })));
});
