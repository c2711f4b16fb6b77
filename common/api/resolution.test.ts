import assert from 'node:assert/strict';
import { test } from 'node:test';
import { howToResolve, readHowToResolve } from './resolution.js';

const object = { name: 'counter-x7k2p', namespace: 'shop' };
const off = 'no process can run on node b.example any more (it is switched off for good)';
const runs = 'pod counter-restored runs there';

test('what the controller offers is what the plugin reads', () => {
  for (const sides of [
    { Source: off, Target: runs },
    { Source: off },
    { Target: 'node b.example will not come back' },
  ]) {
    const message = `Revoking does not succeed. It is tried again. ${howToResolve(object, sides)}`;
    assert.deepEqual(readHowToResolve(message), {
      before: 'Revoking does not succeed. It is tried again.',
      sides,
    });
  }
});

test('a message without an offer offers nothing', () => {
  assert.deepEqual(
    readHowToResolve('Deleting pod counter does not succeed. Try --keep source if you like.'),
    {
      before: 'Deleting pod counter does not succeed. Try --keep source if you like.',
      sides: {},
    },
  );
});

test('the offer names the command with its namespace', () => {
  assert.equal(
    howToResolve(object, { Source: off, Target: runs }),
    `If it stays so, decide yourself: kubectl migrate resolve counter-x7k2p -n shop with --keep source if ${off}, or --keep target if ${runs}.`,
  );
});
