import type { PodMigration } from '../../common/api/schema.js';
import { awaitOutcome } from '../await-outcome.js';
import { judgeMigration } from '../checks/judge.js';
import { observe } from '../checks/observe.js';
import { suggestCommand } from '../checks/suggest-command.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import { IDLE } from '../idle.js';
import type { Invocation } from '../invocation.js';
import { printObject, type ObjectFormat } from '../print-object.js';
import { migrationDisplay } from '../progress/choose.js';
import { flow } from '../terminal.js';
import { createMigration } from './create.js';
import { MIGRATION_RESOURCE, reportOutcome } from './outcome.js';

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

/** After the time in which a migration must be done the controller rolls it back; so much longer we wait to see it. */
const ROLLBACK_MS = 10_000;

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
  const outcome = await awaitOutcome<PodMigration>({
    resource: client.podMigrations,
    name,
    namespace,
    display: await migrationDisplay(terminal),
    timeoutMs: wish.timeoutMs + ROLLBACK_MS,
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
