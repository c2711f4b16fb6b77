import { messageOf } from '../../common/errors.js';
import { awaitOutcome, type Outcome } from '../await-outcome.js';
import { explain } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { IDLE } from '../idle.js';
import { printList } from '../output/print.js';
import { checkpointDoing } from '../progress/checkpoint.js';
import type { Display } from '../progress/display.js';
import { manyDisplay, type ManyDisplay } from '../progress/many.js';
import { sentence } from '../progress/summary.js';
import { inParallel } from '../several/in-parallel.js';
import { flow, paint } from '../terminal.js';
import { size } from '../text/bytes.js';
import { amountOfTime } from '../text/duration.js';
import { table } from '../text/table.js';
import { GIVEN_UP_MS, warnings } from './follow-one.js';
import { resourceName, resourceOf, type Checkpoint } from './kinds.js';
import { create, type Following } from './run.js';

type Ending = Outcome<Checkpoint> | { how: 'refused'; error: unknown; object: undefined };

/** Checkpoints of several pods, some at a time: readable progress, then one table. A failure ends none of the others. */
export async function followSeveral(following: Following, wanted: Checkpoint[]): Promise<ExitCode> {
  const { invocation, terminal, run } = following;
  if (!run.wait) return createAll(following, wanted);
  const { signal } = invocation.detach;
  const display = await manyDisplay(terminal, { title: 'Checkpointing', total: wanted.length });
  const endings = new Map<Checkpoint, Ending>();
  try {
    await inParallel(wanted, run.parallel, async (next) => {
      if (!signal.aborted) endings.set(next, await one(following, next, display));
    });
  } finally {
    await display.close();
  }
  const objects = [...endings.values()].flatMap(({ object }) => object ?? []);
  if (run.output) {
    terminal.raw(await printList(objects, run.output, resourceName(wanted[0]!.kind)));
  } else terminal.out(summary(wanted, endings).join('\n'));
  return conclude(following, wanted, endings);
}

async function createAll({ terminal, client, run }: Following, wanted: Checkpoint[]): Promise<ExitCode> {
  const created: Checkpoint[] = [];
  let failed = false;
  for (const each of wanted) {
    try {
      created.push(await create(client, each));
    } catch (error) {
      failed = true;
      terminal.err(`error: pod ${each.spec.podName}: ${explain(error).message}`);
    }
  }
  const resource = resourceName(wanted[0]!.kind);
  if (run.output) terminal.raw(await printList(created, run.output, resource));
  else for (const { metadata } of created) terminal.out(`${resource}/${metadata.name} created`);
  return failed ? EXIT.failed : EXIT.done;
}

async function one(
  { invocation, client, namespace, run }: Following,
  wanted: Checkpoint,
  many: ManyDisplay,
): Promise<Ending> {
  const pod = wanted.spec.podName;
  many.say(pod, 'asking for it');
  try {
    const { kind, metadata } = await create(client, wanted);
    const display: Display<Checkpoint> = {
      update: (object) => many.say(pod, checkpointDoing(object)),
      note: (text) => many.note(`${pod}: ${text}`),
      end: () => Promise.resolve(),
    };
    const outcome = await awaitOutcome<Checkpoint>({
      resource: resourceOf(client, kind),
      name: metadata.name,
      namespace,
      display,
      timeoutMs: run.timeoutMs + GIVEN_UP_MS,
      detach: invocation.detach.signal,
      idle: IDLE,
    });
    const left = outcome.how === 'detached' || outcome.how === 'timedOut';
    many.end(pod, outcome.how === 'succeeded' ? 'done' : left ? 'left' : 'failed', told(outcome));
    return outcome;
  } catch (error) {
    many.end(pod, 'failed', explain(error).message);
    return { how: 'refused', error, object: undefined };
  }
}

function told({ how, object }: Outcome<Checkpoint>): string {
  const { status = {}, metadata } = object ?? {};
  if (how === 'succeeded')
    return `${metadata?.name ?? ''}${status.sizeBytes === undefined ? '' : `, ${size(status.sizeBytes)}`}`;
  if (how === 'failed') return sentence(status.message ?? status.reason ?? '');
  return how === 'deleted' ? 'it was deleted' : '';
}

function summary(wanted: Checkpoint[], endings: Map<Checkpoint, Ending>): string[] {
  const rows = wanted.map((each) => {
    const { how, object } = endings.get(each) ?? { how: 'not begun', object: undefined };
    const { status = {}, metadata } = object ?? {};
    return [
      metadata?.name ?? '<none>',
      each.spec.podName,
      status.nodeName ?? '<none>',
      status.sizeBytes === undefined ? '<none>' : size(status.sizeBytes),
      status.frozenMilliseconds === undefined ? '<unknown>' : amountOfTime(status.frozenMilliseconds),
      RESULT[how] ?? how,
    ];
  });
  return table(['NAME', 'POD', 'NODE', 'SIZE', 'FROZEN', 'RESULT'], rows);
}

const RESULT: Record<string, string> = {
  succeeded: 'Succeeded',
  failed: 'Failed',
  refused: 'Refused',
  deleted: 'Deleted',
  timedOut: 'Still going on',
  detached: 'Still going on',
  'not begun': 'Not begun',
};

function conclude(
  { invocation, terminal }: Following,
  wanted: Checkpoint[],
  endings: Map<Checkpoint, Ending>,
): ExitCode {
  const { red, yellow } = paint(terminal.color);
  const said = new Set<string>();
  for (const [{ spec }, { how, object, ...ending }] of endings) {
    const pod = `pod ${spec.podName}`;
    if (how === 'failed')
      terminal.err(red(flow(terminal, `error: ${pod}: ${sentence(object?.status?.message ?? '')}`)));
    if (how === 'refused' && 'error' in ending)
      terminal.err(
        red(flow(terminal, `error: ${pod}: ${explain(ending.error).message || messageOf(ending.error)}`)),
      );
    if (how === 'deleted')
      terminal.err(red(`error: ${pod}: its checkpoint was deleted before it had ended.`));
    if (how !== 'succeeded') continue;
    for (const warning of warnings(object!)) if (!said.has(warning)) said.add(warning);
  }
  for (const warning of said) terminal.err(yellow(flow(terminal, `warning: ${warning}`)));
  const hows = wanted.map((each) => endings.get(each)?.how ?? 'detached');
  const done = hows.filter((how) => how === 'succeeded').length;
  if (done < wanted.length) terminal.err(`${done} of ${wanted.length} pods were checkpointed.`);
  if (hows.includes('detached')) {
    terminal.err(
      `Detached; what was begun goes on in the cluster. Look again with: ${invocation.again(`${invocation.program} list`)}`,
    );
  }
  if (hows.some((how) => how === 'failed' || how === 'refused' || how === 'deleted')) return EXIT.failed;
  if (hows.includes('timedOut')) return EXIT.timedOut;
  return hows.includes('detached') ? EXIT.detached : EXIT.done;
}
