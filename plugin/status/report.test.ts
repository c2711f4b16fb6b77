import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import { newestOf } from '../find-migration.js';
import { migrationTable } from '../list/rows.js';
import { statusReport } from './report.js';

const T0 = Date.parse('2026-11-23T16:00:00.000Z');
const failed: PodMigration = {
  apiVersion: 'lpm.my.domain/v1',
  kind: 'PodMigration',
  metadata: { name: 'counter-x7k2p', namespace: 'default', creationTimestamp: '2026-11-23T16:00:00Z' },
  spec: { podName: 'counter', targetNode: 'k8s-master' },
  status: {
    phase: 'Failed',
    reason: 'CriuDumpFailed',
    message: 'CRIU could not dump process 17 of container app, because it holds an io_uring.',
    hint: 'Start the program with UV_USE_IO_URING=0',
    sourceNode: 'k8s-worker',
    targetNode: 'k8s-master',
    phaseTransitions: [
      { phase: 'Pending', transitionTime: '2026-11-23T16:00:00.100Z' },
      { phase: 'CheckpointInProgress', transitionTime: '2026-11-23T16:00:01.000Z' },
      { phase: 'Failed', transitionTime: '2026-11-23T16:00:01.500Z' },
    ],
    conditions: [
      {
        type: 'Failed',
        status: 'True',
        reason: 'CriuDumpFailed',
        message: 'The dump failed.\nError (criu/files.c:1): unsupported file',
        lastTransitionTime: '2026-11-23T16:00:01Z',
      },
    ],
  },
};
const report = (width: number | undefined) =>
  statusReport(failed, { now: T0 + 90_000, width, unicode: true });

test('a failed migration is reported with what, why, what next, its phases and the end of the log', () => {
  assert.deepEqual(report(80), [
    'Migration:   default/counter-x7k2p',
    'Phase:       Failed',
    'Reason:      CriuDumpFailed',
    'Message:     CRIU could not dump process 17 of container app, because it holds',
    '             an io_uring.',
    'Next:        Start the program with UV_USE_IO_URING=0.',
    'Pod:         counter on k8s-worker',
    'Target:      on k8s-master',
    'Created:     2026-11-23T16:00:00Z (90s ago)',
    '',
    `  ✔ Prepare${' '.repeat(65)}0.9s`,
    `  ✖ Checkpoint  CriuDumpFailed${' '.repeat(46)}0.5s`,
    '  · Transfer',
    '  · Restore',
    '',
    '  CONDITION   STATUS   REASON           MESSAGE',
    '  Failed      True     CriuDumpFailed   The dump failed.',
    '                                        Error (criu/files.c:1): unsupported file',
  ]);
});

test('nothing is broken at 200 columns or into a pipe, and no line is wider than 80 at 80', () => {
  const message =
    'Message:     CRIU could not dump process 17 of container app, because it holds an io_uring.';
  assert.ok(report(200).includes(message));
  assert.ok(report(undefined).includes(message));
  for (const line of report(80)) assert.ok(line.length <= 80, line);
});

test('the newest migration of a pod is found', () => {
  const other = (name: string, created: string, podName: string, restoredPodName?: string): PodMigration => ({
    ...failed,
    metadata: { name, creationTimestamp: created },
    spec: { podName },
    status: { ...(restoredPodName ? { restoredPodName } : {}) },
  });
  const all = [
    other('old', '2026-11-23T15:00:00Z', 'counter', 'counter-restored'),
    other('new', '2026-11-23T16:00:00Z', 'counter'),
    other('else', '2026-11-23T17:00:00Z', 'web'),
  ];
  assert.equal(newestOf(all, 'counter')?.metadata.name, 'new');
  assert.equal(newestOf(all, 'counter-restored')?.metadata.name, 'old');
  assert.equal(newestOf(all, 'redis'), undefined);
});

test('the table of migrations has NAME first and AGE last', () => {
  const wish = { wide: false, allNamespaces: false, now: T0 + 300_000 };
  assert.deepEqual(migrationTable([failed], wish), [
    'NAME            POD       FROM         TO           PHASE    DOWNTIME   AGE',
    'counter-x7k2p   counter   k8s-worker   k8s-master   Failed   <none>     5m',
  ]);
});
