import { EXIT, type ExitCode } from '../exit-code.js';
import { findMigration, type MigrationName } from '../find-migration.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { MIGRATION_RESOURCE, reportOutcome } from '../migrate/outcome.js';
import { requireInstalled } from '../checks/installed.js';
import type { ObjectFormat } from '../output/format.js';
import { put } from '../output/print.js';
import { statusReport } from './report.js';
import { followMigration } from '../migrate/follow.js';

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
    const outcome = await followMigration(migration, {
      terminal,
      client,
      timeoutMs: wish.timeoutMs,
      detach: invocation.detach.signal,
    });
    return reportOutcome({
      invocation,
      terminal,
      client,
      name,
      outcome,
      output: wish.output,
    });
  }
  const view = { now: Date.now(), width: process.stdout.columns, unicode: terminal.unicode };
  const report = wish.output ? undefined : statusReport(migration, view).join('\n');
  await put(terminal, migration, wish.output, MIGRATION_RESOURCE, report);
  return EXIT.done;
}
