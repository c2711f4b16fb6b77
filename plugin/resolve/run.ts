import type { Side } from '../../common/api/resolution.js';
import type { PodMigration } from '../../common/api/schema.js';
import { changeMigration } from '../change-migration.js';
import { CliError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { findMigration, type MigrationName } from '../find-migration.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { MIGRATION_RESOURCE, reportOutcome } from '../migrate/outcome.js';
import type { ObjectFormat } from '../output/format.js';
import { put } from '../output/print.js';
import { conditionOf, isOver } from '../progress/stuck.js';
import { sentence } from '../progress/summary.js';
import { flow, paint, type Terminal } from '../terminal.js';
import { ask, judgeAnswer } from './confirm.js';
import { judgeResolve } from './judge.js';
import { stakes } from './stakes.js';
import { followMigration } from '../migrate/follow.js';

export interface ResolveWish extends MigrationName {
  side: Side;
  /** The person need not be asked. */
  yes: boolean;
  wait: boolean;
  timeoutMs: number;
  output?: ObjectFormat;
  plain: boolean;
}

/** Says what is at stake, asks, writes the decision down and follows the migration to its end. */
export async function resolve(
  invocation: Invocation,
  flags: KubeFlags,
  wish: ResolveWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { client, namespace } = await invocation.connect(flags);
  const found = await findMigration(client, namespace, wish, invocation, 'active');
  const { name } = found.metadata;
  const judge = (migration: PodMigration) => judgeResolve(invocation, migration, wish.side);
  const { lines, warning } = stakes(invocation, found, judge(found), wish.side, Date.now());
  const { yellow, bold } = paint(terminal.color);
  for (const line of lines) terminal.err(flow(terminal, line));
  terminal.err(yellow(bold(flow(terminal, `WARNING: ${warning} This cannot be taken back.`))));
  if (!wish.yes) {
    await confirm(invocation, terminal, name, wish.side);
    if (invocation.detach.signal.aborted) {
      terminal.err('Nothing was changed.');
      return EXIT.detached;
    }
  }
  const changed = await changeMigration(client, found, { resolution: wish.side }, judge);
  const done = `${MIGRATION_RESOURCE}/${name} told to keep the ${wish.side.toLowerCase()}`;
  if (!wish.wait) {
    await put(terminal, changed, wish.output, MIGRATION_RESOURCE, done);
    if (!wish.output) {
      terminal.err(`Follow it with: ${invocation.again(`${invocation.program} status ${name} -w`)}`);
    }
    return EXIT.done;
  }
  terminal.err(done);

  const refused = new AbortController();
  const outcome = await followMigration(found, {
    terminal,
    client,
    timeoutMs: wish.timeoutMs,
    detach: AbortSignal.any([invocation.detach.signal, refused.signal]),
    onState: (migration) => {
      if (refusal(migration)) refused.abort();
    },
  });
  const { object } = outcome;
  const report = {
    invocation,
    terminal,
    client,
    name,
    outcome,
    output: wish.output,
  };
  const why = object && refusal(object);
  if (why) {
    await put(terminal, object, wish.output, MIGRATION_RESOURCE);
    throw new CliError(why, [`Look at it with: ${invocation.again(`${invocation.program} status ${name}`)}`]);
  }
  if (!object || !isOver(object.status ?? {})) return reportOutcome(report);
  const kept: Side = object.status?.phase === 'Succeeded' ? 'Target' : 'Source';
  // The nodes have answered after all before the decision was taken up: what they know counts.
  if (kept !== wish.side) {
    await reportOutcome(report);
    terminal.err(
      flow(
        terminal,
        `note: the nodes answered before the decision was taken up, so the ${kept.toLowerCase()} was kept.`,
      ),
    );
    return EXIT.failed;
  }
  if (kept === 'Target') return reportOutcome(report);
  // Ended as a failed migration, but that is what was decided.
  if (wish.output) await put(terminal, object, wish.output, MIGRATION_RESOURCE);
  else {
    terminal.out(
      `Resolved the migration ${name}: the source, pod ${namespace}/${object.spec.podName}, is kept.`,
    );
    terminal.out(flow(terminal, sentence(object.status?.message ?? '')));
  }
  return EXIT.done;
}

/** Why the controller does not take the decision; undefined when it has taken it or not looked at it yet. */
function refusal({ status = {} }: PodMigration): string | undefined {
  const resolved = conditionOf(status, 'Resolved');
  return !isOver(status) && resolved?.status === 'False' ? resolved.message : undefined;
}

async function confirm(invocation: Invocation, terminal: Terminal, name: string, side: Side): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CliError('There is no terminal on which you could be asked; nothing was changed.', [
      'If you are sure, say it with --yes.',
    ]);
  }
  const question = `Type the name of the migration (${name}) to keep the ${side.toLowerCase()}: `;
  const { signal } = invocation.detach;
  const answer = await ask(question, { input: process.stdin, output: terminal.stream, signal });
  if (!signal.aborted) judgeAnswer(answer, name);
}
