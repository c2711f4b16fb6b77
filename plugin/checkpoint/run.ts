import { API_VERSION, GROUP } from '../../common/api/names.js';
import type { PodCheckpoint } from '../../common/api/schema.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import { awaitOutcome, type Outcome } from '../await-outcome.js';
import { judgePod } from '../checks/judge.js';
import { observe } from '../checks/observe.js';
import { suggestCommand } from '../checks/suggest-command.js';
import { CliError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import { IDLE } from '../idle.js';
import type { Invocation } from '../invocation.js';
import { nameFor } from '../object-name.js';
import { printObject, type ObjectFormat } from '../print-object.js';
import { checkpointDisplay } from '../progress/choose.js';
import { sentence } from '../progress/summary.js';
import { paint, type Terminal } from '../terminal.js';
import { artifacts } from './artifacts.js';

export interface CheckpointWish {
  pod: string;
  /** Name of the PodCheckpoint. */
  name?: string;
  timeoutMs: number;
  wait: boolean;
  output?: ObjectFormat;
  plain: boolean;
}

const RESOURCE = `podcheckpoint.${GROUP}`;

/** Checks, creates the PodCheckpoint, follows it and tells where the artifacts lie. */
export async function checkpoint(
  invocation: Invocation,
  flags: KubeFlags,
  wish: CheckpointWish,
  subcommands: readonly string[],
): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { client, namespace } = await invocation.connect(flags);
  const question = { namespace, pod: wish.pod };
  const observed = await observe(client, question);
  suggestCommand(wish.pod, subcommands, () => judgePod(invocation, question, observed));
  if (invocation.detach.signal.aborted) return EXIT.detached;

  const created = await create(client, namespace, wish);
  const { name } = created.metadata;
  if (!wish.wait) {
    terminal.out(
      wish.output ? await printObject(created, wish.output, RESOURCE) : `${RESOURCE}/${name} created`,
    );
    return EXIT.done;
  }
  terminal.err(`${RESOURCE}/${name} created`);
  const outcome = await awaitOutcome<PodCheckpoint>({
    resource: client.podCheckpoints,
    name,
    namespace,
    display: await checkpointDisplay(terminal),
    timeoutMs: wish.timeoutMs,
    detach: invocation.detach.signal,
    idle: IDLE,
  });
  if (wish.output && outcome.object) terminal.out(await printObject(outcome.object, wish.output, RESOURCE));
  return report(invocation, terminal, client, { namespace, name, outcome, quiet: wish.output !== undefined });
}

async function create(client: KubeClient, namespace: string, wish: CheckpointWish): Promise<PodCheckpoint> {
  const name = wish.name ?? nameFor(wish.pod);
  try {
    return await client.podCheckpoints.create(
      {
        apiVersion: API_VERSION,
        kind: 'PodCheckpoint',
        metadata: { name, namespace },
        spec: { podName: wish.pod },
      },
      namespace,
    );
  } catch (error) {
    if (!(error instanceof ApiError && error.isAlreadyExists)) throw error;
    throw new CliError(`There is a checkpoint "${name}" in namespace "${namespace}" already.`, [
      'Choose another name with --name.',
    ]);
  }
}

async function report(
  invocation: Invocation,
  terminal: Terminal,
  client: KubeClient,
  {
    namespace,
    name,
    outcome,
    quiet,
  }: { namespace: string; name: string; outcome: Outcome<PodCheckpoint>; quiet: boolean },
): Promise<ExitCode> {
  const again = invocation.again(`kubectl get podcheckpoint ${name} -w`);
  const { red } = paint(terminal.color);
  switch (outcome.how) {
    case 'succeeded':
      if (!quiet) terminal.out((await artifacts(client, outcome.object)).join('\n'));
      return EXIT.done;
    case 'failed': {
      const { status = {}, spec } = outcome.object;
      const why = sentence(status.message ?? 'the controller gives no reason');
      terminal.err(red(`error: The checkpoint ${name} of pod ${namespace}/${spec.podName} failed: ${why}`));
      if (status.reason) terminal.err(`Reason: ${status.reason}`);
      terminal.err(`More with: ${invocation.again(`kubectl describe podcheckpoint ${name}`)}`);
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
