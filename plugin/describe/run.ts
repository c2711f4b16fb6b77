import { requireInstalled } from '../checks/installed.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { findMigration, type MigrationName } from '../find-migration.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { collectEvents } from '../logs/collect.js';
import { describeReport } from './report.js';

export async function describe(
  invocation: Invocation,
  flags: KubeFlags,
  wish: MigrationName,
): Promise<ExitCode> {
  const terminal = invocation.terminal({});
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const migration = await findMigration(client, namespace, wish, invocation);
  const events = await collectEvents(client, migration);
  const { columns } = process.stdout;
  const view = { now: Date.now(), width: columns, unicode: terminal.unicode };
  terminal.out(describeReport(migration, events.lines, view).join('\n'));
  for (const note of events.notes) terminal.err(`note: ${note}`);
  return EXIT.done;
}
