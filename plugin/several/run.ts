/** `kubectl migrate pod/a pod/b`, `-l`, `--all`, `deployment/web`: several pods, some at a time. */
import { messageOf } from '../../common/errors.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { requireInstalled } from '../checks/installed.js';
import { judgeMigration } from '../checks/judge.js';
import { observe } from '../checks/observe.js';
import { CliError, UsageError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { DryRun, KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { dataFormat, type ObjectFormat } from '../output/format.js';
import { printData } from '../output/print.js';
import { podsOf } from '../pods/pods.js';
import type { Subject } from '../pods/subject.js';
import { manyDisplay, type Ending } from '../progress/many.js';
import { sentence } from '../progress/summary.js';
import { flow } from '../terminal.js';
import { inParallel } from './in-parallel.js';
import { tryMove } from '../preflight/of-several.js';
import { left, move, unfinished, type MoveWish } from './move.js';
import { counted, resultTable } from './report.js';
import type { Result } from './result.js';

export interface SeveralWish extends Omit<MoveWish, 'follow'> {
  subjects: Subject[];
  parallel: number;
  /** Name for the restored pod: only for one. */
  name?: string;
  wait: boolean;
  dryRun?: DryRun;
  output?: ObjectFormat;
  plain: boolean;
}

export async function migrateSeveral(
  invocation: Invocation,
  flags: KubeFlags,
  wish: SeveralWish,
): Promise<ExitCode> {
  if (wish.name !== undefined) throw new UsageError('--name names one pod, and these may be several.');
  if (wish.dryRun === 'client') {
    throw new UsageError(
      '--dry-run=client is for one pod; say --dry-run=server to have each of them checked.',
    );
  }
  if (!wish.wait) throw new UsageError('--no-wait is for one pod: several are moved a few at a time.');
  const output = wish.output === undefined ? undefined : dataFormat(wish.output);
  const terminal = invocation.terminal(wish);
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const { pods, notes } = await chosen(invocation, client, namespace, wish);
  if (invocation.detach.signal.aborted) return EXIT.detached;
  for (const note of notes) terminal.err(flow(terminal, `note: ${note}`));
  if (pods.length === 0) throw new CliError('None of these pods is running, so there is nothing to move.');

  const display = await manyDisplay(terminal, {
    title: wish.dryRun ? 'Checking' : 'Migrating',
    total: pods.length,
  });
  const results: Result[] = [];
  try {
    await inParallel(pods, wish.parallel, async (pod) => {
      const { name } = pod.metadata;
      if (invocation.detach.signal.aborted) {
        results.push(unfinished(pod, 'Not begun when this was left.'));
        return;
      }
      display.say(name, 'beginning');
      const around = { detach: invocation.detach.signal, note: (text: string) => display.note(text) };
      const moving = wish.dryRun
        ? tryMove(client, pod, wish, around)
        : move(client, pod, wish, invocation, display);
      const result = await moving.catch((error: unknown): Result => ({
        ...left(pod, sentence(messageOf(error)), true),
        outcome: 'Failed',
      }));
      results.push(result);
      display.end(name, endingOf(result), result.why || (wish.dryRun ? '' : `on ${result.node ?? '?'}`));
    });
  } finally {
    await display.close();
  }
  results.sort((a, b) => a.pod.localeCompare(b.pod));
  if (output) terminal.raw(await printData({ pods: results }, output));
  else terminal.out(resultTable(results, process.stdout.columns).join('\n'));
  terminal.err(`${counted(results)} of ${pods.length === 1 ? 'one pod' : `${pods.length} pods`}.`);
  if (invocation.detach.signal.aborted) {
    terminal.err(
      `Detached; what was begun goes on in the cluster. Look again with: ${invocation.again(`${invocation.program} list`)}`,
    );
    return EXIT.detached;
  }
  if (results.some(({ outcome }) => outcome === 'Failed' || outcome === 'Left')) return EXIT.failed;
  return results.some(({ outcome }) => outcome === 'Unfinished') ? EXIT.timedOut : EXIT.done;
}

function endingOf({ outcome }: Result): Ending {
  if (outcome === 'Moved' || outcome === 'Movable') return 'done';
  return outcome === 'Unfinished' ? 'left' : 'failed';
}

/** The pods that are meant; a slip in one name is told before any of them is moved. */
async function chosen(
  invocation: Invocation,
  client: KubeClient,
  namespace: string,
  wish: SeveralWish,
): Promise<{ pods: Pod[]; notes: string[] }> {
  const groups = wish.subjects.filter((subject) => subject.of !== 'pod');
  const { pods: found, leftOut } = await podsOf(client, namespace, groups);
  const pods = new Map(found.map((pod) => [pod.metadata.name, pod]));
  const notes = [...leftOut];
  for (const subject of wish.subjects) {
    if (subject.of !== 'pod' || pods.has(subject.name)) continue;
    const question = {
      namespace,
      pod: subject.name,
      ...(wish.to === undefined ? {} : { node: wish.to }),
    };
    const judged = judgeMigration(invocation, question, await observe(client, question));
    for (const note of judged.notes) if (!notes.includes(note)) notes.push(note);
    pods.set(subject.name, judged.pod ?? { metadata: { name: subject.name, namespace } });
  }
  return { pods: [...pods.values()], notes };
}
