/** The agents through whose pods archives can be read and written: a port-forward leads to a pod, not to a node. */
import { AGENT_LABEL, TRANSFER_PORT } from '../../common/api/names.js';
import type { Pod } from '../../common/kube/types.js';
import { isReady } from '../migration/node-checks.js';
import type { Parts } from '../parts.js';
import type { CheckpointStatus } from './kinds.js';

export interface Place {
  node: string;
  agentPod: string;
}

const [LABEL = '', VALUE = ''] = AGENT_LABEL.split('=');

/** Running pods of agents on nodes that are Ready, by node. */
export function agentPods({ caches, namespace }: Parts): Place[] {
  const ready = new Set(
    caches.nodes
      .list()
      .filter(isReady)
      .map(({ metadata }) => metadata.name),
  );
  return caches.pods
    .list()
    .filter(
      (pod: Pod) =>
        pod.metadata.namespace === namespace &&
        pod.metadata.labels?.[LABEL] === VALUE &&
        pod.status?.phase === 'Running' &&
        !pod.metadata.deletionTimestamp &&
        ready.has(pod.spec?.nodeName ?? ''),
    )
    .map((pod) => ({ node: pod.spec!.nodeName!, agentPod: pod.metadata.name }))
    .sort((a, b) => a.node.localeCompare(b.node));
}

/** The first of these places whose node sees the shared repository. */
export async function withRepository(parts: Parts, places: readonly Place[]): Promise<Place | undefined> {
  const clusterUid = await parts.clusterUid();
  for (const place of places) {
    try {
      const agent = parts.agents.agent(place.node, parts.caches.nodes.get(place.node));
      if ((await agent.listArchives(clusterUid)).repository?.shared) return place;
    } catch (error) {
      parts.log.debug(`The agent on node ${place.node} is no help: ${String(error)}`);
    }
  }
  return undefined;
}

export function noAgentPod({ namespace }: Parts, where: string): string {
  return `No pod of an agent runs ${where}, so there is nothing that a port-forward could lead to: archives are read and written through the agents' pods (label ${AGENT_LABEL} in namespace ${namespace}), and agents that run outside of pods cannot serve them.`;
}

export function transferStatus(
  { namespace }: Parts,
  { agentPod }: Place,
  ticketSHA256: string,
  expires: number,
): NonNullable<CheckpointStatus['transfer']> {
  return {
    ticketSHA256,
    agentNamespace: namespace,
    agentPod,
    port: TRANSFER_PORT,
    expires: new Date(expires).toISOString(),
  };
}
