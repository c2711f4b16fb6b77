import { judgeMigration } from '../checks/judge.js';
import { observe } from '../checks/observe.js';
import { suggestCommand } from '../checks/suggest-command.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { printObject, type ObjectFormat } from '../print-object.js';
import { flow } from '../terminal.js';
import { createMigration } from './create.js';
import { MIGRATION_RESOURCE, reportOutcome } from './outcome.js';
import { followMigration, ROLLBACK_MS } from './follow.js';

export interface MigrateWish {
  pod: string;
  to?: string;
  /** Name of the restored pod. */
  name?: string;
  tcp?: 'Close' | 'Refuse';
  timeoutMs: number;
  wait: boolean;
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

  const created = await createMigration(client, namespace, wish);
  const { name } = created.metadata;
  if (!wish.wait) {
    terminal.out(
      wish.output
        ? await printObject(created, wish.output, MIGRATION_RESOURCE)
        : `${MIGRATION_RESOURCE}/${name} created`,
    );
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
