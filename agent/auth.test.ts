import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerCertificate } from 'node:tls';
import { authorize } from './auth.js';

const methods = ['getNodeInfo', 'checkpoint', 'restore', 'commit', 'revoke', 'thaw', 'endSource', 'discard'];
const caller = (subject: object | undefined): Parameters<typeof authorize>[1] => ({
  transportSecurityType: 'ssl',
  ...(subject ? { sslPeerCertificate: { subject } as unknown as PeerCertificate } : {}),
});

test('the controller may call everything', () => {
  for (const method of [...methods, 'pullArtifacts'])
    authorize(method, caller({ O: 'lpm:controllers', CN: 'x' }));
});
test('an agent may pull artifacts and nothing else', () => {
  authorize('pullArtifacts', caller({ O: 'lpm:agents' }));
  for (const method of methods)
    assert.throws(() => authorize(method, caller({ O: 'lpm:agents' })), /does not allow/);
});
test('one of several organizations is enough', () => {
  authorize('checkpoint', caller({ O: ['a', 'lpm:controllers'] }));
});
for (const [name, subject] of Object.entries({
  'a certificate without organization': { CN: 'lpm:controllers' },
  'a certificate of another organization': { O: 'lpm:controllers2' },
  'no certificate': undefined,
})) {
  test(`${name} may call nothing`, () => {
    for (const method of [...methods, 'pullArtifacts'])
      assert.throws(() => authorize(method, caller(subject)), /does not allow/);
  });
}

test('a certificate that has expired since it connected allows nothing', () => {
  const until = 'Nov 28 10:00:00 2026 GMT';
  const context = caller({ O: 'lpm:controllers', CN: 'x' });
  Object.assign(context.sslPeerCertificate!, { valid_to: until });
  authorize('checkpoint', context, Date.parse(until) - 1);
  assert.throws(() => authorize('checkpoint', context, Date.parse(until)), /"x" has expired/);
});
