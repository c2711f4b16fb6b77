import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodMigration } from '../common/api/schema.js';
import { Metrics } from './metrics.js';
import { countEnded } from './migration/count-ended.js';

const migration = (status: object): PodMigration =>
  ({ metadata: { name: 'm' }, spec: { podName: 'counter' }, status }) as PodMigration;

test('a histogram counts a value in every bucket that it fits into', () => {
  const metrics = new Metrics();
  for (const value of [0.2, 0.5, 3]) metrics.observe('pause', 'A pause.', [0.5, 1], value, { node: 'a' });
  assert.equal(
    metrics.text(),
    `# HELP pause A pause.
# TYPE pause histogram
pause_bucket{node="a",le="0.5"} 2
pause_bucket{node="a",le="1"} 2
pause_bucket{node="a",le="+Inf"} 3
pause_sum{node="a"} 3.7
pause_count{node="a"} 3
`,
  );
});

test('a label may say anything', () => {
  const metrics = new Metrics();
  metrics.count('c', 'A count.', { reason: 'a "quoted"\nline\\' });
  assert.match(metrics.text(), /^c\{reason="a \\"quoted\\"\\nline\\\\"\} 1$/m);
});

test('migrations are counted by outcome and reason, with downtime, duration, bytes and time of each step', () => {
  const metrics = new Metrics();
  countEnded(
    metrics,
    migration({
      phase: 'Succeeded',
      downtimeMilliseconds: 446,
      totalMilliseconds: 1600,
      bytesTransferred: 1000,
      steps: [
        { name: 'Dump', milliseconds: 180 },
        { name: 'Restore', milliseconds: 230 },
      ],
    }),
  );
  countEnded(metrics, migration({ phase: 'Failed', reason: 'Canceled', totalMilliseconds: 700 }));
  const text = metrics.text();
  for (const line of [
    'lpm_migrations_total{outcome="Succeeded",reason=""} 1',
    'lpm_migrations_total{outcome="Failed",reason="Canceled"} 1',
    'lpm_migration_downtime_seconds_bucket{le="0.5"} 1',
    'lpm_migration_downtime_seconds_bucket{le="0.25"} 0',
    'lpm_migration_downtime_seconds_sum 0.446',
    'lpm_migration_downtime_seconds_count 1',
    'lpm_migration_duration_seconds_count{outcome="Failed"} 1',
    'lpm_migration_step_seconds_sum{step="Dump"} 0.18',
    'lpm_migration_step_seconds_count{step="Restore"} 1',
    'lpm_migration_bytes_total 1000',
  ]) {
    assert.ok(text.includes(`\n${line}\n`), `${line} in:\n${text}`);
  }
});
