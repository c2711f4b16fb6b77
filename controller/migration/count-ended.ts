import type { PodMigration } from '../../common/api/schema.js';
import type { Metrics } from '../metrics.js';
import { isPreflight } from './preflight/is-preflight.js';

/** Seconds. Pauses are of tenths of a second, large memories make them of minutes. */
const PAUSES = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const DURATIONS = [1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const STEPS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Counts a migration that has ended: how, how long its pod stood still, and what made that up. */
export function countEnded(metrics: Metrics, migration: PodMigration): void {
  const { phase = '', reason = '', downtimeMilliseconds, totalMilliseconds } = migration.status ?? {};
  const ended = { outcome: phase, reason };
  if (isPreflight(migration)) {
    metrics.count('lpm_preflights_total', 'Preflights that have ended.', ended);
    return;
  }
  metrics.count('lpm_migrations_total', 'Migrations that have ended.', ended);
  if (totalMilliseconds !== undefined) {
    const help = 'From the acceptance of migrations to their end.';
    metrics.observe('lpm_migration_duration_seconds', help, DURATIONS, totalMilliseconds / 1000, {
      outcome: phase,
    });
  }
  if (downtimeMilliseconds === undefined) return;
  const help = 'For how long no copy of a pod executed, of migrations that succeeded.';
  metrics.observe('lpm_migration_downtime_seconds', help, PAUSES, downtimeMilliseconds / 1000);
  for (const { name, milliseconds } of migration.status?.steps ?? []) {
    const about = 'How long each step of migrations that succeeded took.';
    metrics.observe('lpm_migration_step_seconds', about, STEPS, milliseconds / 1000, { step: name });
  }
  const bytes = migration.status?.bytesTransferred ?? 0;
  metrics.count(
    'lpm_migration_bytes_total',
    'Bytes of checkpoints that were moved to other nodes.',
    {},
    bytes,
  );
}
