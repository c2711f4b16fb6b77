import assert from 'node:assert/strict';
import { test } from 'node:test';
import { condition, migrationWith, sourceSilent, targetSilent } from '../stuck.testing.js';
import { nextSteps, tooLate } from './judge.js';

const caller = { program: 'kubectl migrate', again: (command: string) => `${command} -n shop` };

test('before the commit a migration can be canceled, also one that is stuck or not begun', () => {
  assert.equal(tooLate(migrationWith({})), undefined);
  assert.equal(tooLate(migrationWith(targetSilent)), undefined);
});

test('after the commit it is refused with the reason and with the way back', () => {
  const committed = migrationWith(sourceSilent);
  assert.equal(
    tooLate(committed),
    'The migration counter-x7k2p cannot be canceled any more: the restored processes of pod counter-restored execute on node k8s-master.',
  );
  assert.deepEqual(nextSteps(caller, committed), [
    'Follow it to its end with: kubectl migrate status counter-x7k2p -w -n shop',
    'Then the pod can be moved back with: kubectl migrate counter-restored --to k8s-worker -n shop',
  ]);
});

test('the controller’s own words count when the race is lost', () => {
  const conditions = [condition('Canceled', 'False', 'AlreadyCommitted', 'Too late: it executes.')];
  assert.equal(tooLate(migrationWith({ phase: 'RestoreInProgress', conditions })), 'Too late: it executes.');
});

test('what has ended cannot be canceled', () => {
  const ended = (status: Parameters<typeof migrationWith>[0]) => tooLate(migrationWith(status)) ?? '';
  assert.match(ended({ phase: 'Succeeded', message: 'Moved.' }), /any more: it has succeeded\. Moved\.$/);
  assert.match(ended({ phase: 'Failed', reason: 'Canceled' }), /any more: it was canceled already\.$/);
  assert.match(ended({ phase: 'Failed', reason: 'TimedOut' }), /any more: it has failed already\.$/);
});
