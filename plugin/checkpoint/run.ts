import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { requireInstalled } from '../checks/installed.js';
import { judgePod } from '../checks/judge.js';
import { observe } from '../checks/observe.js';
import { suggestCommand } from '../checks/suggest-command.js';
import { CliError, UsageError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { DryRun, KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import type { ObjectFormat } from '../output/format.js';
import { printList, printObject } from '../output/print.js';
import { flow, type Terminal } from '../terminal.js';
import { CHECKPOINT_SUBCOMMANDS } from './command.js';
import { judgeContainer } from './container.js';
import { followOne } from './follow-one.js';
import { followSeveral } from './follow-several.js';
import { resourceName, resourceOf, type Checkpoint } from './kinds.js';
import { podsOf } from '../pods/pods.js';
import type { Subject } from '../pods/subject.js';
import { checkpointOf, type CheckpointWish } from './wish.js';

export interface CheckpointRun extends CheckpointWish {
  subjects: Subject[];
  timeoutMs: number;
  wait: boolean;
  /** As many at a time. */
  parallel: number;
  dryRun?: DryRun;
  output?: ObjectFormat;
  plain: boolean;
}

/** What the two ways of following share. */
export interface Following {
  invocation: Invocation;
  terminal: Terminal;
  client: KubeClient;
  namespace: string;
  run: CheckpointRun;
}

/** Checks, creates a checkpoint for each pod, follows them and tells what was saved where. */
export async function checkpoint(
  invocation: Invocation,
  flags: KubeFlags,
  run: CheckpointRun,
): Promise<ExitCode> {
  const terminal = invocation.terminal(run);
  const { client, namespace } = await invocation.connect(flags);
  const { names, notes } = await podNames(invocation, client, namespace, run);
  if (invocation.detach.signal.aborted) return EXIT.detached;
  for (const note of notes) terminal.err(flow(terminal, `note: ${note}`));
  if (names.length === 0) throw new CliError('None of these pods is running, so there is nothing to save.');
  if (run.name !== undefined && names.length > 1) {
    throw new UsageError(`--name names one checkpoint, and these are ${names.length} pods.`);
  }
  const wanted = names.map((pod) => checkpointOf(pod, namespace, run));
  if (run.dryRun) return showOnly(terminal, client, run.dryRun, wanted, run.output);
  const following = { invocation, terminal, client, namespace, run };
  const [only, ...others] = wanted;
  return others.length === 0 ? followOne(following, only!) : followSeveral(following, wanted);
}

async function podNames(
  invocation: Invocation,
  client: KubeClient,
  namespace: string,
  { subjects, container }: CheckpointRun,
): Promise<{ names: string[]; notes: string[] }> {
  await requireInstalled(client);
  const pods = new Map<string, Pod | undefined>();
  const groups = subjects.filter((subject) => subject.of !== 'pod');
  const { pods: found, leftOut } = await podsOf(client, namespace, groups);
  for (const pod of found) pods.set(pod.metadata.name, pod);
  for (const subject of subjects) {
    if (subject.of !== 'pod' || pods.has(subject.name)) continue;
    const question = { namespace, pod: subject.name };
    const observed = await observe(client, question);
    const commands = subject.explicit ? [] : CHECKPOINT_SUBCOMMANDS;
    pods.set(
      subject.name,
      suggestCommand(subject.name, commands, () => judgePod(invocation, question, observed)).pod,
    );
  }
  if (container !== undefined) {
    for (const [name, pod] of pods) if (pod) judgeContainer(`${namespace}/${name}`, pod, container);
  }
  return { names: [...pods.keys()], notes: leftOut };
}

async function showOnly(
  terminal: Terminal,
  client: KubeClient,
  dryRun: DryRun,
  wanted: Checkpoint[],
  output: ObjectFormat | undefined,
): Promise<ExitCode> {
  const objects =
    dryRun === 'client'
      ? wanted
      : await Promise.all(wanted.map((one) => create(client, one, { dryRun: 'All' })));
  if (output === undefined) {
    for (const { kind, metadata } of wanted) {
      terminal.out(
        `${resourceName(kind)}/${metadata.name} created (${dryRun === 'client' ? 'dry run' : 'server dry run'})`,
      );
    }
    return EXIT.done;
  }
  const resource = resourceName(wanted[0]!.kind);
  const [only, ...others] = objects;
  terminal.raw(
    others.length === 0
      ? await printObject(only!, output, resource)
      : await printList(objects, output, resource),
  );
  return EXIT.done;
}

/** @throws CliError when there is one of that name */
export async function create(
  client: KubeClient,
  wanted: Checkpoint,
  query: Record<string, string> = {},
): Promise<Checkpoint> {
  const { name, namespace } = wanted.metadata;
  try {
    return await resourceOf(client, wanted.kind).create(wanted, namespace, query);
  } catch (error) {
    if (!(error instanceof ApiError && error.isAlreadyExists)) throw error;
    throw new CliError(`There is a checkpoint "${name}" in namespace "${namespace}" already.`, [
      'Choose another name with --name.',
    ]);
  }
}
