/** `kubectl migrate drain`: cordon, move what can be moved, say what cannot, evict the rest if that is wished. */
import { messageOf } from '../../common/errors.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Node, Pod } from '../../common/kube/types.js';
import { requireInstalled } from '../checks/installed.js';
import { unknownNode } from '../checks/unknown-node.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { DryRun, KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { manyDisplay, type Ending, type ManyDisplay } from '../progress/many.js';
import { sentence } from '../progress/summary.js';
import { inParallel } from '../several/in-parallel.js';
import { tryMove } from '../preflight/of-several.js';
import { left, move, unfinished } from '../several/move.js';
import { counted, resultTable } from '../several/report.js';
import type { DataFormat } from '../output/format.js';
import { printData } from '../output/print.js';
import type { Result } from '../several/result.js';
import type { Terminal } from '../terminal.js';
import { evict } from './evict.js';
import { planFor, type Plan } from './plan.js';

export interface DrainWish {
  node: string;
  to?: string;
  selector?: string;
  namespace?: string;
  parallel: number;
  evictRest: boolean;
  dryRun?: DryRun;
  /** Milliseconds for one migration. */
  timeoutMs: number;
  output?: DataFormat;
  plain: boolean;
}

export async function drain(invocation: Invocation, flags: KubeFlags, wish: DrainWish): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { client } = await invocation.connect(flags);
  await requireInstalled(client);
  const node = await findNode(client, wish.node);
  if (wish.to !== undefined) await findNode(client, wish.to);
  await cordon(client, node, wish, terminal);

  const planned = await planAll(client, wish);
  if (wish.dryRun) {
    const results: Result[] = [];
    await inParallel(planned, wish.parallel, async ({ pod, plan }) => {
      results.push(await expected(client, pod, plan, wish, invocation, terminal));
    });
    return report(terminal, wish, results, 0);
  }
  const display = await manyDisplay(terminal, { title: `Draining ${wish.node}`, total: planned.length });
  const results: Result[] = [];
  try {
    await inParallel(planned, wish.parallel, async ({ pod, plan }) => {
      if (invocation.detach.signal.aborted) {
        results.push(unfinished(pod, 'Not begun when this was left.'));
        return;
      }
      results.push(await settle(client, pod, plan, wish, invocation, display));
    });
  } finally {
    await display.close();
  }
  const detached = invocation.detach.signal.aborted;
  const code = await report(terminal, wish, results, planned.length);
  if (detached) {
    terminal.err('Detached; what was begun goes on in the cluster.');
    terminal.err(`Go on with: ${invocation.again(`${invocation.program} drain ${wish.node}`)}`);
    return EXIT.detached;
  }
  return code;
}

async function findNode(client: KubeClient, name: string): Promise<Node> {
  const node = await client.nodes.find(name);
  if (node) return node;
  throw unknownNode(
    name,
    (await client.nodes.list()).items.map(({ metadata }) => metadata.name),
  );
}

async function cordon(client: KubeClient, node: Node, wish: DrainWish, terminal: Terminal): Promise<void> {
  if (node.spec?.unschedulable) {
    terminal.err(`node/${wish.node} already cordoned`);
    return;
  }
  if (!wish.dryRun) {
    await client.nodes.patch(wish.node, undefined, { spec: { unschedulable: true } }, { type: 'strategic' });
  }
  terminal.err(`node/${wish.node} cordoned${wish.dryRun ? ' (dry run)' : ''}`);
}

interface Planned {
  pod: Pod;
  plan: Plan;
}

async function planAll(client: KubeClient, wish: DrainWish): Promise<Planned[]> {
  const where = wish.namespace === undefined ? {} : { namespace: wish.namespace };
  const [pods, migrations] = await Promise.all([
    client.pods.list({
      ...where,
      fieldSelector: `spec.nodeName=${wish.node}`,
      ...(wish.selector === undefined ? {} : { labelSelector: wish.selector }),
    }),
    client.podMigrations.list(where),
  ]);
  const place = ({ metadata }: Pod) => `${metadata.namespace}/${metadata.name}`;
  return pods.items
    .sort((a, b) => place(a).localeCompare(place(b)))
    .map((pod) => ({ pod, plan: planFor(pod, migrations.items) }));
}

/** Moves one pod, or finds out why not, and evicts it if that is wished. */
async function settle(
  client: KubeClient,
  pod: Pod,
  plan: Plan,
  wish: DrainWish,
  invocation: Invocation,
  display: ManyDisplay,
): Promise<Result> {
  const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
  let result: Result;
  if (plan.do === 'leave') result = left(pod, plan.why, plan.blocks);
  else {
    display.say(key, plan.do === 'follow' ? `already under way (${plan.migration})` : 'beginning');
    try {
      const follow = plan.do === 'follow' ? { follow: plan.migration } : {};
      const { to, timeoutMs } = wish;
      const moving = { timeoutMs, ...(to === undefined ? {} : { to }), ...follow };
      result = await move(client, pod, moving, invocation, display);
    } catch (error) {
      result = { ...left(pod, sentence(messageOf(error)), true), outcome: 'Failed' };
    }
  }
  const movable = result.outcome === 'Left' || result.outcome === 'Failed';
  if (wish.evictRest && movable && result.blocks && !invocation.detach.signal.aborted) {
    result = await evict(client, pod, result, wish.timeoutMs, invocation.detach.signal, (text) =>
      display.say(key, text),
    );
  }
  const how = { Moved: 'done', Evicted: 'done', Failed: 'failed' } as Record<string, Ending>;
  display.end(key, how[result.outcome] ?? 'left', result.why || `on ${result.node ?? '?'}`);
  return result;
}

/** What a dry run says. */
async function expected(
  client: KubeClient,
  pod: Pod,
  plan: Plan,
  { dryRun, to, timeoutMs }: DrainWish,
  { detach: { signal } }: Invocation,
  { err }: Terminal,
): Promise<Result> {
  if (plan.do === 'leave') return left(pod, plan.why, plan.blocks);
  if (plan.do === 'follow') return unfinished(pod, `Is being moved by ${plan.migration}.`);
  if (dryRun === 'client') {
    return { ...left(pod, 'If the controller finds nothing against it.', true), outcome: 'Movable' };
  }
  if (signal.aborted) return unfinished(pod, 'Not looked at when this was left.');
  return tryMove(
    client,
    pod,
    { timeoutMs, ...(to === undefined ? {} : { to }) },
    { detach: signal, note: (text) => err(`note: ${text}`) },
  );
}

async function report(
  terminal: Terminal,
  wish: DrainWish,
  results: Result[],
  total: number,
): Promise<ExitCode> {
  const place = ({ namespace, pod }: Result) => `${namespace}/${pod}`;
  results.sort((a, b) => place(a).localeCompare(place(b)));
  if (wish.output) terminal.raw(await printData({ node: wish.node, pods: results }, wish.output));
  else if (results.length === 0) terminal.err(`There are no pods on ${wish.node} that this is about.`);
  else terminal.out(resultTable(results, process.stdout.columns).join('\n'));
  if (wish.dryRun) return results.some(({ outcome }) => outcome === 'Unfinished') ? EXIT.failed : EXIT.done;
  const blocking = results.filter(({ blocks }) => blocks);
  const still = blocking.length;
  const rest =
    still === 0
      ? 'Nothing but what belongs to the node is left on it.'
      : `${still === 1 ? 'One pod still runs' : `${still} pods still run`} on it.`;
  if (total > 0) terminal.err(`${wish.node}: ${counted(results)}. ${rest}`);
  return blocking.length === 0 ? EXIT.done : EXIT.failed;
}
