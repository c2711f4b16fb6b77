import { changeMigration } from '../change-migration.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { findMigration, type MigrationName } from '../find-migration.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { MIGRATION_RESOURCE, reportOutcome, sourceOf } from '../migrate/outcome.js';
import type { ObjectFormat } from '../output/format.js';
import { put } from '../output/print.js';
import { conditionOf, isOver, wasCanceled } from '../progress/stuck.js';
import { sentence } from '../progress/summary.js';
import { flow, paint } from '../terminal.js';
import { judgeCancel, nextSteps, tooLate } from './judge.js';
import { followMigration } from '../migrate/follow.js';

export interface CancelWish extends MigrationName {
  wait: boolean;
  timeoutMs: number;
  output?: ObjectFormat;
  plain: boolean;
}

/** Asks the controller to roll the migration back, follows it and tells whether the pod runs on. */
export async function cancel(invocation: Invocation, flags: KubeFlags, wish: CancelWish): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { client, namespace } = await invocation.connect(flags);
  const found = await findMigration(client, namespace, wish, invocation, 'active');
  const { name } = found.metadata;
  const changed = await changeMigration(client, found, { cancel: true }, (migration) =>
    judgeCancel(invocation, migration),
  );
  const why = conditionOf(changed.status ?? {}, 'RollingBack');
  if (why?.status === 'True' && why.reason !== 'Canceled') {
    terminal.err(flow(terminal, `note: it is being rolled back already: ${why.message.split('\n')[0]}`));
  }
  if (!wish.wait) {
    const done = `${MIGRATION_RESOURCE}/${name} told to cancel`;
    await put(terminal, changed, wish.output, MIGRATION_RESOURCE, done);
    if (!wish.output) {
      terminal.err(`Follow it with: ${invocation.again(`${invocation.program} status ${name} -w`)}`);
    }
    return EXIT.done;
  }
  terminal.err(`${MIGRATION_RESOURCE}/${name} told to cancel`);

  const refused = new AbortController();
  const outcome = await followMigration(found, {
    terminal,
    client,
    timeoutMs: wish.timeoutMs,
    detach: AbortSignal.any([invocation.detach.signal, refused.signal]),
    // The race was lost: the restored processes executed before the controller saw the wish.
    onState: (migration) => {
      if (!isOver(migration.status ?? {}) && tooLate(migration)) refused.abort();
    },
  });
  const { object } = outcome;
  const ended = object && isOver(object.status ?? {});
  if (!object || (!ended && !refused.signal.aborted)) {
    return reportOutcome({
      invocation,
      terminal,
      client,
      name,
      outcome,
      output: wish.output,
    });
  }
  await put(terminal, object, wish.output, MIGRATION_RESOURCE);
  if (object.status?.phase !== 'Failed') {
    const lines = [`error: ${tooLate(object)}`, ...nextSteps(invocation, object)];
    const [first = '', ...rest] = lines.map((line) => flow(terminal, line));
    terminal.err([paint(terminal.color).red(first), ...rest].join('\n'));
    return EXIT.failed;
  }
  if (!wasCanceled(object)) {
    const by = sentence(object.status.message ?? 'the controller gives no reason');
    terminal.err(flow(terminal, `note: it had failed by itself: ${by}`));
  }
  const source = await sourceOf(client, object, invocation.again('kubectl get pods -o wide'));
  if (source.runsOn === false) {
    const lines = [
      `error: The migration ${name} is canceled, but its pod does not run on as it was.`,
      source.sentence,
    ];
    const [first = '', ...rest] = lines.filter(Boolean).map((line) => flow(terminal, line));
    terminal.err([paint(terminal.color).red(first), ...rest].join('\n'));
    return EXIT.failed;
  }
  if (!wish.output) {
    terminal.out(`Canceled the migration ${name} of pod ${namespace}/${object.spec.podName}.`);
    terminal.out(flow(terminal, source.sentence));
  }
  return EXIT.done;
}
