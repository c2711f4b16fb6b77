/** `kubectl migrate uninstall`: the testing guide's "Cleanup and Reset", in the order in which nothing is left behind. */
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { CliError } from '../cli-error.js';
import { DAEMON_SET } from '../doctor/objects.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import { bundledManifests } from '../install/bundled.js';
import type { Invocation } from '../invocation.js';
import { ask, judgeAnswer } from '../resolve/confirm.js';
import { flow, paint, type Terminal } from '../terminal.js';
import { deleteManifests } from './delete-manifests.js';
import { deleteCheckpoints, deleteMigrations } from './delete-resources.js';
import { takeInventory } from './inventory.js';
import { archivesLeft, judgeUninstall, neededOn, stakes } from './judge.js';
import { setsUpNodes, takeBackNodes, unlabelNodes } from './take-back-nodes.js';
import { Left, type Patience } from './until-gone.js';

export interface UninstallWish {
  keepCheckpoints: boolean;
  force: boolean;
  /** The person need not be asked. */
  yes: boolean;
  /** Milliseconds for one step; 0: for ever. */
  timeoutMs: number;
  plain: boolean;
}

export async function uninstall(
  invocation: Invocation,
  flags: KubeFlags,
  wish: UninstallWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { client } = await invocation.connect(flags);
  const found = await takeInventory(client);
  if (!found.installed) {
    terminal.out('There is nothing of live pod migration in this cluster.');
    return EXIT.done;
  }
  judgeUninstall(found, wish);
  const { yellow, bold } = paint(terminal.color);
  terminal.err(yellow(bold(flow(terminal, `The cluster is ${client.server}.`))));
  for (const line of stakes(found, wish)) terminal.err(flow(terminal, line));
  if (!wish.yes) await confirm(invocation, terminal);
  const patience: Patience = { timeoutMs: wish.timeoutMs, detach: invocation.detach.signal };
  const say = (text: string): void => terminal.err(flow(terminal, text));
  const { daemonSet, nodes } = found;
  // Nodes that were set up by hand are as somebody wanted them.
  const setUp = daemonSet && setsUpNodes(daemonSet);
  const later = setUp ? neededOn(found) : [];
  try {
    if (patience.detach.aborted) throw new Left();
    await deleteMigrations(client, found, patience, say);
    if (!wish.keepCheckpoints) await deleteCheckpoints(client, found, patience, say);
    if (setUp) {
      const options = { force: wish.force, keepState: wish.keepCheckpoints };
      await takeBackNodes(client, daemonSet, nodes, options, patience, say);
    }
    const keep = { checkpoints: wish.keepCheckpoints, agents: later.length > 0 };
    await deleteManifests(client, await bundledManifests(), keep, patience, say);
    await unlabelNodes(client, nodes);
  } catch (error) {
    if (!(error instanceof Left)) throw error;
    terminal.err('Left in the middle; what was deleted stays deleted.');
    terminal.err(`Go on with: ${invocation.again(`${invocation.program} uninstall`)}`);
    return EXIT.detached;
  }
  const left = wish.keepCheckpoints ? [] : archivesLeft(found, found.controllerWorks);
  if (left.length > 0) say(`Archives that lie where they were: ${left.join(', ')}.`);
  if (later.length > 0) {
    say(
      `What ends restored pods stays on ${later.join(', ')}, and the DaemonSet ${DAEMON_SET} in the namespace ${SYSTEM_NAMESPACE}, which runs nowhere, to take that away.`,
    );
    say(`When those pods are gone: ${invocation.again(`${invocation.program} uninstall`)}`);
    terminal.out('Live pod migration is taken away from this cluster, but for what restored pods need.');
    return EXIT.done;
  }
  terminal.out('Live pod migration is taken away from this cluster.');
  return EXIT.done;
}

async function confirm(invocation: Invocation, terminal: Terminal): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CliError('There is no terminal on which you could be asked; nothing was changed.', [
      'If you are sure, say it with --yes.',
    ]);
  }
  const { signal } = invocation.detach;
  const question = 'Type uninstall to go on: ';
  const answer = await ask(question, { input: process.stdin, output: terminal.stream, signal });
  if (!signal.aborted) judgeAnswer(answer, 'uninstall');
}
