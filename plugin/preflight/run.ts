/** `kubectl migrate POD --dry-run=server` */
import type { KubeClient } from '../../common/kube/client.js';
import { CliError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { Invocation } from '../invocation.js';
import type { MigrationWish } from '../migrate/create.js';
import { MIGRATION_RESOURCE } from '../migrate/outcome.js';
import type { ObjectFormat } from '../output/format.js';
import { put } from '../output/print.js';
import { sentence } from '../progress/summary.js';
import { flow, paint, type Terminal } from '../terminal.js';
import { askPreflight } from './ask.js';
import { checkTable, failed, NOT_TRIED } from './report.js';

export async function preflight(
  invocation: Invocation,
  terminal: Terminal,
  client: KubeClient,
  namespace: string,
  wish: MigrationWish & { output?: ObjectFormat },
): Promise<ExitCode> {
  const say = (text: string) => terminal.err(flow(terminal, text));
  const { how, object } = await askPreflight(client, namespace, wish, {
    detach: invocation.detach.signal,
    note: (text) => say(`note: ${text}`),
  });
  if (how === 'detached') {
    terminal.err('Interrupted; nothing was changed.');
    return EXIT.detached;
  }
  if (how === 'timedOut') {
    say('error: The controller has not answered; nothing was changed.');
    return EXIT.timedOut;
  }
  if (how === 'deleted' || !object) {
    throw new CliError('Somebody deleted the preflight before it was answered; nothing was changed.');
  }
  const { checks = [], message = '' } = object.status ?? {};
  const lines = checkTable(checks, process.stdout.columns, paint(terminal.colorOut)).join('\n');
  await put(terminal, object, wish.output, MIGRATION_RESOURCE, checks.length > 0 ? lines : undefined);
  if (how === 'succeeded') {
    say(sentence(message));
    say(NOT_TRIED);
    return EXIT.done;
  }
  const number = failed(checks).length;
  const why =
    number === 0
      ? sentence(message)
      : `The migration of pod ${namespace}/${wish.pod} would be refused: ${number === 1 ? 'one check fails' : `${number} checks fail`}.`;
  terminal.err(paint(terminal.color).red(flow(terminal, `error: ${why} Nothing was changed.`)));
  return EXIT.failed;
}
