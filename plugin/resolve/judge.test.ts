import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import type { Side } from '../../common/api/resolution.js';
import { CliError } from '../cli-error.js';
import {
  deletionRefused,
  migrationWith,
  sourceRemains,
  sourceSilent,
  STUCK_SINCE,
  targetSilent,
  thawFails,
} from '../stuck.testing.js';
import { judgeAnswer } from './confirm.js';
import { judgeResolve } from './judge.js';
import { stakes } from './stakes.js';

const caller = { program: 'kubectl migrate', again: (command: string) => `${command} -n shop` };
const refused = (migration: PodMigration, side: Side): string => {
  try {
    judgeResolve(caller, migration, side);
  } catch (error) {
    assert.ok(error instanceof CliError);
    return [error.message, ...error.hints].join('\n');
  }
  return assert.fail('it was not refused');
};
const staked = (migration: PodMigration, side: Side) =>
  stakes(caller, migration, judgeResolve(caller, migration, side), side, Date.parse(STUCK_SINCE) + 65_000);

test('while the target is silent either side can be kept, and it is said what is at stake', () => {
  const source = staked(migrationWith(targetSilent), 'Source');
  assert.deepEqual(source.lines, [
    'The migration counter-x7k2p of pod shop/counter is stuck since 2026-11-23T16:00:05Z (1m05s).',
    '  Revoking the restore on node k8s-master does not succeed: The agent of node k8s-master did not answer. It is tried again and again.',
    '  Is the node up? kubectl get node k8s-master.',
    'Node k8s-master cannot be asked what became of pod counter-restored there.',
    'If you keep the source: pod counter runs on on node k8s-worker, and pod counter-restored is deleted by force.',
    'That is right only if no process of the pod can run on node k8s-master any more (it is switched off for good).',
    'Check it first:',
    '  kubectl get node k8s-master -n shop',
    '  Look at the machine itself. A node that does not answer may well be running; if in doubt, switch it off.',
  ]);
  assert.match(source.warning, /counter-restored run on node k8s-master, or begin to, TWO copies run\.$/);
  const target = staked(migrationWith(targetSilent), 'Target');
  assert.match(target.lines.join('\n'), /That is right only if pod counter-restored runs there\./);
  assert.match(target.warning, /^If pod counter-restored does not run on node k8s-master, NO copy is left/);
});

test('the source cannot be kept after the commit', () => {
  assert.match(
    refused(migrationWith(sourceSilent), 'Source'),
    /^The source cannot be kept: the restored processes have executed on node k8s-master.*\nWhat can be decided, if node k8s-worker will not come back: kubectl migrate resolve counter-x7k2p --keep target -n shop\n/,
  );
  const { lines, warning } = staked(migrationWith(sourceSilent), 'Target');
  assert.match(lines.join('\n'), /\nNode k8s-worker cannot be asked what became of pod counter there\.\n/);
  assert.match(warning, /pod counter can still run on node k8s-worker, TWO copies run until/);
});

test('the target cannot be kept after its node has confirmed that nothing will execute there', () => {
  assert.match(
    refused(migrationWith(thawFails), 'Target'),
    /^The target cannot be kept: node k8s-master has confirmed that nothing of it will ever execute there\.\nWhat can be decided, if that node will not come back: .* --keep source -n shop\n/,
  );
  assert.match(staked(migrationWith(thawFails), 'Source').warning, /k8s-worker does not come back, NO copy/);
});

test('the target cannot be kept of what was never checkpointed', () => {
  const early = { ...targetSilent, conditions: (targetSilent.conditions ?? []).slice(1) };
  assert.match(refused(migrationWith(early), 'Target'), /nothing of pod counter has been checkpointed/);
});

test('a source of which only the object remains may be left to itself, and no copy is at stake', () => {
  const { lines, warning } = staked(migrationWith(sourceRemains), 'Target');
  assert.deepEqual(lines.slice(2), [
    '  Does the kubelet of node k8s-worker work? kubectl describe pod counter -n shop.',
    'If you keep the target: the migration ends without waiting for the object of pod counter, which is removed by force unless it has finalizers.',
    'That is right only if the kubelet of node k8s-worker will not confirm its deletion any more.',
    'Check it first:',
    '  kubectl describe pod counter -n shop',
  ]);
  assert.match(warning, /^No copy is at stake: .* such as a mounted volume, may stay behind there\.$/);
  assert.match(refused(migrationWith(sourceRemains), 'Source'), /^The source cannot be kept: .* executed/);
});

test('where no decision helps, none is taken', () => {
  assert.match(
    refused(migrationWith(deletionRefused), 'Target'),
    /^The target cannot be kept: no decision would help\. Deleting pod counter does not succeed: .*\nLook at it with: kubectl migrate status counter-x7k2p -n shop$/,
  );
});

test('only what is stuck is decided, and only once', () => {
  const running = migrationWith({ phase: 'RestoreInProgress', message: 'Restoring.' });
  assert.match(
    refused(running, 'Source'),
    /^The migration counter-x7k2p is not stuck: .*\n.* -n shop -w\nTo give it up: kubectl migrate cancel counter-x7k2p -n shop$/,
  );
  const over = migrationWith({ ...targetSilent, phase: 'Failed', reason: 'TimedOut', message: 'Too late.' });
  assert.match(refused(over, 'Source'), /^There is nothing to decide: .* has failed\. Too late\.\n/);
  assert.match(
    refused(migrationWith(targetSilent, { resolution: 'Target' }), 'Source'),
    /^It is decided already that the target of the migration counter-x7k2p is kept/,
  );
});

test('the name of the migration or yes confirms, anything else changes nothing', () => {
  judgeAnswer('counter-x7k2p', 'counter-x7k2p');
  judgeAnswer('yes', 'counter-x7k2p');
  for (const answer of ['y', 'counter', '', undefined]) {
    assert.throws(() => judgeAnswer(answer, 'counter-x7k2p'), /[Nn]othing was changed\.$/);
  }
});
