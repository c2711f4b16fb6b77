/**
 * What the agents have put on the nodes is taken back by their own program: a pod on each node, made like the agent's, that does just
 * that and ends. The agents go first, for they would set the node up again; their DaemonSet stays until all nodes are done, so that
 * this can be called again.
 */
import { AGENT_LABEL, GROUP, SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Node, Pod } from '../../common/kube/types.js';
import { isFor } from '../doctor/checks/agents.js';
import { podProblem } from '../doctor/checks/pod-problem.js';
import { DAEMON_SET, resources, type DaemonSet } from '../doctor/objects.js';
import { CliError } from '../cli-error.js';
import { EXIT } from '../exit-code.js';
import { pause } from '../pause.js';
import { inParallel } from '../several/in-parallel.js';
import { printable } from '../text/printable.js';
import { untilGone, Left, type Patience } from './until-gone.js';

type Say = (text: string) => void;

/** With this selector the DaemonSet has no node. */
const NOWHERE = `${GROUP}/uninstalled`;

/** An uninstallation that was left in its middle has sent the agents away; whoever installs wants them back. */
export async function callBackAgents(client: KubeClient): Promise<void> {
  const { daemonSets } = resources(client);
  const found = await daemonSets.find(DAEMON_SET, SYSTEM_NAMESPACE);
  if (found?.spec?.template.spec?.nodeSelector?.[NOWHERE] === undefined) return;
  const nodeSelector = { [NOWHERE]: null };
  await daemonSets.patch(DAEMON_SET, SYSTEM_NAMESPACE, { spec: { template: { spec: { nodeSelector } } } });
}
const LABEL = `${GROUP}/takes-back`;
/** Runtimes that are restarted at the same time: never many, for nothing starts on their nodes meanwhile. */
const AT_ONCE = 2;
const LOOK_MS = 300;

/** Whether the agents set up their nodes. Of a flag and its opposite the last one counts. */
export function setsUpNodes({ spec }: DaemonSet): boolean {
  const args = spec?.template.spec?.containers[0]?.args ?? [];
  return args.findLast((arg) => arg === '--setup-node' || arg === '--no-setup-node') === '--setup-node';
}

/** @throws CliError when a node cannot be brought back and it is not to be forced */
export async function takeBackNodes(
  client: KubeClient,
  daemonSet: DaemonSet,
  nodes: readonly Node[],
  options: { force: boolean; keepState: boolean },
  patience: Patience,
  say: Say,
): Promise<void> {
  const hosts = nodes.filter((node) => isFor(withoutSelector(daemonSet), node));
  await resources(client).daemonSets.patch(
    DAEMON_SET,
    SYSTEM_NAMESPACE,
    { spec: { template: { spec: { nodeSelector: { [NOWHERE]: 'true' } } } } },
    { type: 'strategic' },
  );
  await untilGone('Agents', patience, async () => {
    const { items } = await client.pods.list({ namespace: SYSTEM_NAMESPACE, labelSelector: AGENT_LABEL });
    return items.map(({ metadata }) => metadata.name);
  });
  const failed: string[] = [];
  await inParallel(hosts, AT_ONCE, async ({ metadata: { name } }) => {
    try {
      const said = await takeBack(client, takingBack(daemonSet, name, options), patience);
      for (const line of said) say(`${name}: ${printable(line)}`);
    } catch (error) {
      if (error instanceof Left) throw error;
      failed.push(`${name}: ${printable(error instanceof Error ? error.message : String(error))}`);
    }
  });
  if (failed.length === 0) return;
  for (const line of failed) say(`warning: ${line}`);
  if (options.force) return;
  throw new CliError(
    `${failed.length === 1 ? 'A node is' : `${failed.length} nodes are`} not as before: ${failed.join('; ')}`,
    ['Mend it and call this again, or go on without these nodes with --force.'],
  );
}

/** A DaemonSet is for all its nodes again, as before it was sent away from them. */
function withoutSelector(daemonSet: DaemonSet): DaemonSet {
  const copy = structuredClone(daemonSet);
  const selector = copy.spec?.template.spec?.nodeSelector;
  if (selector) delete selector[NOWHERE];
  return copy;
}

/** The pod that takes back one node. Pure. */
export function takingBack(
  daemonSet: DaemonSet,
  node: string,
  { force, keepState }: { force: boolean; keepState: boolean },
): Partial<Pod> {
  const { nodeSelector: _, containers = [], ...spec } = structuredClone(daemonSet.spec?.template.spec) ?? {};
  const [agent] = containers;
  if (!agent) throw new CliError(`The DaemonSet ${DAEMON_SET} has no container.`);
  const { livenessProbe: _l, readinessProbe: _r, startupProbe: _s, ports: _p, ...container } = agent;
  const flags = ['--uninstall-node', ...(force ? ['--force'] : []), ...(keepState ? ['--keep-state'] : [])];
  return {
    metadata: {
      name: `lpm-takes-back-${node}`.slice(0, 253),
      namespace: SYSTEM_NAMESPACE,
      labels: { 'app.kubernetes.io/part-of': 'kubectl-migrate', [LABEL]: 'true' },
    },
    spec: {
      ...spec,
      nodeName: node,
      restartPolicy: 'Never',
      containers: [{ ...container, args: [...(container.args ?? []), ...flags] }],
    },
  };
}

/** Runs it to its end and answers what it said. */
async function takeBack(
  client: KubeClient,
  pod: Partial<Pod>,
  { timeoutMs, detach }: Patience,
): Promise<string[]> {
  const { name } = pod.metadata!;
  await removePod(client, name, detach);
  await client.pods.create(pod, SYSTEM_NAMESPACE);
  const end = timeoutMs === 0 ? Infinity : Date.now() + timeoutMs;
  for (;;) {
    const now = await client.pods.get(name, SYSTEM_NAMESPACE);
    const phase = now.status?.phase;
    if (phase === 'Succeeded' || phase === 'Failed') {
      const text = await client.text('GET', client.pods.path(SYSTEM_NAMESPACE, name, 'log')).catch(() => '');
      const lines = text.split('\n').filter(Boolean);
      if (phase === 'Succeeded') {
        await removePod(client, name, detach);
        return lines.filter((line) => !line.startsWith('{'));
      }
      throw new CliError(lines.map(sentenceOf).slice(-2).join(' ') || `Pod ${name} failed.`);
    }
    if (detach.aborted) throw new Left();
    if (Date.now() > end) {
      const why =
        podProblem(now, { node: undefined, events: [], log: [] })?.message ?? `Pod ${name} does not end.`;
      throw new CliError(why, [], EXIT.timedOut);
    }
    await pause(LOOK_MS, detach);
  }
}

async function removePod(client: KubeClient, name: string, detach: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await client.pods.delete(name, SYSTEM_NAMESPACE, { gracePeriodSeconds: 1 });
    } catch (error) {
      if (error instanceof ApiError && error.isNotFound) return;
      throw error;
    }
    if (detach.aborted) throw new Left();
    await pause(LOOK_MS, detach);
  }
}

/** What a line of the agent's structured log says, or the line. */
function sentenceOf(line: string): string {
  try {
    const { message, error, hint } = JSON.parse(line) as Record<string, unknown>;
    return [message, error, hint].filter((part) => typeof part === 'string').join(' ');
  } catch {
    return line;
  }
}

/** Labels and annotations of ours on the nodes. */
export async function unlabelNodes(client: KubeClient, nodes: readonly Node[]): Promise<void> {
  for (const { metadata } of nodes) {
    const gone = (fields: Record<string, string> = {}) =>
      Object.fromEntries(
        Object.keys(fields)
          .filter((key) => key.startsWith(`${GROUP}/`))
          .map((key) => [key, null]),
      );
    const [labels, annotations] = [gone(metadata.labels), gone(metadata.annotations)];
    if (Object.keys(labels).length + Object.keys(annotations).length === 0) continue;
    await client.nodes.patch(metadata.name, undefined, { metadata: { labels, annotations } });
  }
}
