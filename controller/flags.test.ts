import assert from 'node:assert/strict';
import { test } from 'node:test';
import { electionTimes, parseFlags, retentionLimits } from './flags.js';

const times = (...args: string[]) => electionTimes(parseFlags(args, 'test'));
const changed = (change: object) => () =>
  electionTimes({
    leaderElectLeaseDuration: '15s',
    leaderElectRenewDeadline: '10s',
    leaderElectRetryPeriod: '2s',
    ...change,
  });

test('replicas elect a leader by default, with the times of kube-controller-manager', () => {
  assert.equal(parseFlags([], 'test').leaderElect, true);
  assert.equal(parseFlags(['--no-leader-elect'], 'test').leaderElect, false);
  assert.deepEqual(times(), { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 });
  assert.deepEqual(times('--leader-elect-lease-duration=1m', '--leader-elect-retry-period=500ms'), {
    leaseDurationMs: 60_000,
    renewDeadlineMs: 10_000,
    retryPeriodMs: 500,
  });
});

test('times of an election that do not fit together are refused in a sentence', () => {
  assert.throws(
    changed({ leaderElectRenewDeadline: '15s' }),
    /renew-deadline must be shorter than --leader-elect-lease-duration/,
  );
  assert.throws(changed({ leaderElectRetryPeriod: '9s' }), /1\.2 times --leader-elect-retry-period/);
  assert.throws(changed({ leaderElectLeaseDuration: '15500ms' }), /must be in whole seconds/);
  assert.throws(changed({ leaderElectLeaseDuration: 'soon' }), /soon is not a duration such as 15s/);
});

test('limits of what is kept are amounts as Kubernetes has them, and none by default', () => {
  const limits = (...args: string[]) => retentionLimits(parseFlags(args, 'test'));
  assert.deepEqual(limits(), { perPod: 0, perNamespace: 0, totalBytes: 0 });
  assert.deepEqual(limits('--retain-per-pod=5', '--retain-per-namespace=20', '--retain-total-bytes=1.5Gi'), {
    perPod: 5,
    perNamespace: 20,
    totalBytes: 1.5 * 1024 ** 3,
  });
  assert.throws(
    () => retentionLimits({ retainPerPod: 0, retainPerNamespace: 0, retainTotalBytes: 'much' }),
    /much is not an amount such as 10Gi/,
  );
});
