/** Collects what checks.ts judges: from the API server and from the agents of the nodes in question. Changes nothing. */
import type { ContainerCheckpoint, PodCheckpoint, PodMigration } from '../../common/api/schema.js';
import { pause } from '../../common/kube/backoff.js';
import type { Node, Pod } from '../../common/kube/types.js';
import type { ContainerFacts, GetNodeInfoResponse } from '../../proto/gen/lpm/v1/agent.js';
import { toFailure } from '../agents/failure.js';
import { freezesNow } from '../checkpoint/kinds.js';
import type { Parts } from '../parts.js';
import { comingAgent } from './coming-agent.js';
import { isFinal } from './decide.js';
import type { Answer, MigrationFacts, NodeFacts } from './facts.js';
import { isReady } from './node-checks.js';
import { podRef } from './pod-ref.js';

/** An agent that is just being restarted is given so long. */
const SECOND_TRY_MS = 700;
/** Without a target node so many nodes are asked. */
const MAX_CANDIDATES = 50;

export async function collectFacts(parts: Parts, migration: PodMigration): Promise<MigrationFacts> {
  const { caches, client } = parts;
  const { namespace } = migration.metadata;
  const { podName, targetNode } = migration.spec;
  const pod = await client.pods.find(podName, namespace);
  const sourceName = pod?.spec?.nodeName;
  const nodes = caches.nodes.list();
  const targetNames = targetNode
    ? [targetNode]
    : schedulable(nodes.filter((node) => node.metadata.name !== sourceName));

  // A pod that does not run and a node that does not exist are told without asking anybody.
  const worthAsking = pod !== undefined && (!targetNode || caches.nodes.get(targetNode) !== undefined);
  const [source, targets, inspection, migrations, checkpoints] = await Promise.all([
    sourceName ? nodeFacts(parts, sourceName, worthAsking) : undefined,
    Promise.all(targetNames.map((name) => nodeFacts(parts, name, worthAsking))),
    pod && sourceName && worthAsking ? inspect(parts, sourceName, pod) : undefined,
    // From the API server: a copy that lags behind would let a second migration of the pod in.
    client.podMigrations.list({ namespace: namespace! }),
    runningCheckpoints(parts, namespace!, podName),
  ]);
  return {
    migration,
    pod,
    podNames: caches.pods
      .list()
      .filter((other) => other.metadata.namespace === namespace)
      .map((other) => other.metadata.name),
    nodeNames: nodes.map((node) => node.metadata.name),
    targets,
    otherMigrations: migrations.items.filter(
      (other) => other.metadata.uid !== migration.metadata.uid && !isFinal(other),
    ),
    runningCheckpoints: checkpoints,
    ...(source ? { source } : {}),
    ...(inspection ? { inspection } : {}),
  };
}

/** Names of the nodes that are asked when none is asked for. */
export function schedulable(nodes: readonly Node[]): string[] {
  return nodes
    .filter((node) => isReady(node) && !node.spec?.unschedulable)
    .map((node) => node.metadata.name)
    .slice(0, MAX_CANDIDATES);
}

/** Names of the users' own checkpoints that are being taken of this pod. */
async function runningCheckpoints({ client }: Parts, namespace: string, podName: string): Promise<string[]> {
  const lists = await Promise.all([
    client.podCheckpoints.list({ namespace }),
    client.containerCheckpoints.list({ namespace }),
  ]);
  return lists
    .flatMap(({ items }): (PodCheckpoint | ContainerCheckpoint)[] => items)
    .filter((checkpoint) => checkpoint.spec.podName === podName && freezesNow(checkpoint))
    .map(({ metadata }) => metadata.name);
}

export async function nodeFacts(parts: Parts, name: string, ask: boolean): Promise<NodeFacts> {
  const node = parts.caches.nodes.get(name);
  // Of a node that is not Ready nothing is expected; what its agent says would not help.
  if (!node || !ask || !isReady(node)) return { name, node };
  const coming = () =>
    comingAgent(parts.caches.pods.list(), { namespace: parts.namespace, node: name, now: parts.now() });
  // One that was being started when it was asked may be ready when it has not answered.
  const before = coming();
  const agent = await nodeInfo(parts, name);
  const agentComes = agent.failure?.reason === 'AgentNotReachable' ? (coming() ?? before) : undefined;
  return { name, node, agent, ...(agentComes === undefined ? {} : { agentComes }) };
}

export async function nodeInfo(parts: Parts, name: string): Promise<Answer<GetNodeInfoResponse>> {
  const ask = () => answer(() => parts.agents.agent(name, parts.caches.nodes.get(name)).getNodeInfo());
  const first = await ask();
  if (first.failure?.reason !== 'AgentNotReachable') return first;
  await pause(SECOND_TRY_MS);
  return ask();
}

export function inspect(parts: Parts, node: string, pod: Pod): Promise<Answer<ContainerFacts[]>> {
  return answer(() => parts.agents.agent(node, parts.caches.nodes.get(node)).inspectPod(podRef(pod)));
}

/** The value, or the failure as data. */
export async function answer<T>(ask: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await ask() };
  } catch (error) {
    return { failure: toFailure(error) };
  }
}
