import type { PodMigration } from '../../common/api/schema.js';
import { awaitOutcome } from '../await-outcome.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { findMigration, type MigrationName } from '../find-migration.js';
import type { KubeFlags } from '../flags.js';
import { IDLE } from '../idle.js';
import type { Invocation } from '../invocation.js';
import { MIGRATION_RESOURCE, reportOutcome } from '../migrate/outcome.js';
import { requireInstalled } from '../checks/installed.js';
import { printObject, type ObjectFormat } from '../print-object.js';
import { migrationDisplay } from '../progress/choose.js';
import { statusReport } from './report.js';

export interface StatusWish extends MigrationName {
  watch: boolean;
  timeoutMs: number;
  output?: ObjectFormat;
  plain: boolean;
}

export async function status(invocation: Invocation, flags: KubeFlags, wish: StatusWish): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const migration = await findMigration(client, namespace, wish, invocation);
  const { name } = migration.metadata;
  if (wish.watch) {
    const outcome = await awaitOutcome<PodMigration>({
      resource: client.podMigrations,
      name,
      namespace,
      display: await migrationDisplay(terminal, migration.spec.fromCheckpoint ? 'restore' : 'migration'),
      timeoutMs: wish.timeoutMs,
      detach: invocation.detach.signal,
      idle: IDLE,
    });
    return reportOutcome({
      invocation,
      terminal,
      client,
      name,
      outcome,
      ...(wish.output ? { output: wish.output } : {}),
    });
  }
  const text = wish.output
    ? await printObject(migration, wish.output, MIGRATION_RESOURCE)
    : statusReport(migration, {
        now: Date.now(),
        width: process.stdout.columns,
        unicode: terminal.unicode,
      }).join('\n');
  terminal.out(text);
  return EXIT.done;
}
