import { EXIT, type ExitCode } from '../exit-code.js';
import { findMigration, type MigrationName } from '../find-migration.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { MIGRATION_RESOURCE, reportOutcome } from '../migrate/outcome.js';
import { requireInstalled } from '../checks/installed.js';
import { printObject, type ObjectFormat } from '../print-object.js';
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
