import { judgeMigration } from '../checks/judge.js';
import { observe } from '../checks/observe.js';
import { suggestCommand } from '../checks/suggest-command.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { DryRun, KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import type { ObjectFormat } from '../output/format.js';
import { put } from '../output/print.js';
import { flow } from '../terminal.js';
import { createMigration, migrationFor, type MigrationWish } from './create.js';
import { MIGRATION_RESOURCE, reportOutcome } from './outcome.js';
import { followMigration, ROLLBACK_MS } from './follow.js';

export interface MigrateWish extends Omit<MigrationWish, 'preflightOnly'> {
  wait: boolean;
  dryRun?: DryRun;
  output?: ObjectFormat;
  plain: boolean;
}

/** Checks, creates the PodMigration, follows it and tells how it ended. */
export async function migrate(
  invocation: Invocation,
  flags: KubeFlags,
  wish: MigrateWish,
  subcommands: readonly string[],
): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { client, namespace } = await invocation.connect(flags);
  if (wish.dryRun === 'client') {
    const wanted = migrationFor(namespace, wish);
    const done = `${MIGRATION_RESOURCE}/${wanted.metadata.name} created (dry run)`;
    await put(terminal, wanted, wish.output, MIGRATION_RESOURCE, done);
    return EXIT.done;
  }
  const question = {
    namespace,
    pod: wish.pod,
    ...(wish.to === undefined ? {} : { node: wish.to }),
    ...(wish.name === undefined ? {} : { restoredName: wish.name }),
  };
  const observed = await observe(client, question);
  const { notes } = suggestCommand(wish.pod, subcommands, () =>
    judgeMigration(invocation, question, observed),
  );
  // Left before anything was created: nothing to look after.
  if (invocation.detach.signal.aborted) return EXIT.detached;
  for (const note of notes) terminal.err(flow(terminal, `note: ${note}`));
  if (wish.dryRun === 'server') {
    const { preflight } = await import('../preflight/run.js');
    return preflight(invocation, terminal, client, namespace, wish);
  }

  const created = await createMigration(client, namespace, wish);
  const { name } = created.metadata;
  if (!wish.wait) {
    await put(terminal, created, wish.output, MIGRATION_RESOURCE, `${MIGRATION_RESOURCE}/${name} created`);
    if (!wish.output)
      terminal.err(`Follow it with: ${invocation.again(`${invocation.program} status ${name} -w`)}`);
    return EXIT.done;
  }
  terminal.err(`${MIGRATION_RESOURCE}/${name} created`);
  const outcome = await followMigration(created, {
    terminal,
    client,
    timeoutMs: wish.timeoutMs + ROLLBACK_MS,
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
