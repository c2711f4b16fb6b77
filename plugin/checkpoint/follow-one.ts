import { awaitOutcome, type Outcome } from '../await-outcome.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { IDLE } from '../idle.js';
import { put } from '../output/print.js';
import { checkpointDisplay } from '../progress/choose.js';
import { sentence } from '../progress/summary.js';
import { flow, paint } from '../terminal.js';
import { artifacts } from './artifacts.js';
import { resourceName, resourceOf, type Checkpoint } from './kinds.js';
import { create, type Following } from './run.js';

/** The controller gives a checkpoint up by itself; so much longer we wait to see it. */
export const GIVEN_UP_MS = 10_000;

/** One checkpoint: created, followed with all that is to be seen of it, and told at length. */
export async function followOne(following: Following, wanted: Checkpoint): Promise<ExitCode> {
  const { invocation, terminal, client, namespace, run } = following;
  const created = await create(client, wanted);
  const { name } = created.metadata;
  const resource = resourceName(created.kind);
  if (!run.wait) {
    await put(terminal, created, run.output, resource, `${resource}/${name} created`);
    if (!run.output)
      terminal.err(`Look at it with: ${invocation.again(`${invocation.program} describe ${name}`)}`);
    return EXIT.done;
  }
  terminal.err(`${resource}/${name} created`);
  const outcome = await awaitOutcome<Checkpoint>({
    resource: resourceOf(client, created.kind),
    name,
    namespace,
    display: await checkpointDisplay(terminal),
    timeoutMs: run.timeoutMs + GIVEN_UP_MS,
    detach: invocation.detach.signal,
    idle: IDLE,
  });
  if (outcome.object) await put(terminal, outcome.object, run.output, resource);
  return report(following, name, outcome);
}

async function report(
  { invocation, terminal, client, namespace, run }: Following,
  name: string,
  outcome: Outcome<Checkpoint>,
): Promise<ExitCode> {
  const again = invocation.again(`${invocation.program} describe ${name}`);
  const { red, yellow } = paint(terminal.color);
  switch (outcome.how) {
    case 'succeeded':
      for (const warning of warnings(outcome.object))
        terminal.err(yellow(flow(terminal, `warning: ${warning}`)));
      if (!run.output) terminal.out((await artifacts(client, outcome.object)).join('\n'));
      return EXIT.done;
    case 'failed': {
      const { status = {}, spec } = outcome.object;
      const why = sentence(status.message ?? 'the controller gives no reason');
      terminal.err(
        red(
          flow(terminal, `error: The checkpoint ${name} of pod ${namespace}/${spec.podName} failed: ${why}`),
        ),
      );
      if (status.reason) terminal.err(`Reason: ${status.reason}`);
      terminal.err(`More with: ${again}`);
      return EXIT.failed;
    }
    case 'deleted':
      terminal.err(`error: The checkpoint ${name} was deleted before it had ended.`);
      return EXIT.failed;
    case 'timedOut':
      terminal.err(
        `error: Waited long enough: the checkpoint ${name} is still ${outcome.object?.status?.phase ?? 'not taken up by the controller'}.`,
      );
      terminal.err(`Look again with: ${again}`);
      return EXIT.timedOut;
    case 'detached':
      terminal.err(`Detached; the checkpoint ${name} goes on in the cluster.`);
      terminal.err(`Look again with: ${again}`);
      return EXIT.detached;
  }
}

/** What a person should know of a checkpoint that has succeeded. */
export function warnings({ status = {} }: Checkpoint): string[] {
  return (status.conditions ?? [])
    .filter(({ type, status: truth }) => type === 'RepositoryAvailable' && truth === 'False')
    .map(({ message }) => sentence(message));
}
