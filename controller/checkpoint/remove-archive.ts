/** Removes an archive, from the repository and from the node that made it. */
import { LpmError } from '../../common/errors.js';
import { isReady } from '../migration/node-checks.js';
import type { Parts } from '../parts.js';

/**
 * The node's own agent removes both copies. Of a node that was taken out of the cluster nothing is left but what lies in the
 * repository: any agent that has it removes that.
 */
export async function removeArchive(
  parts: Parts,
  nodeName: string,
  uri: string,
  checkpointUid: string,
): Promise<void> {
  const node = parts.caches.nodes.get(nodeName);
  if (node) {
    await parts.agents.agent(nodeName, node).removeArchive(uri, checkpointUid);
    return;
  }
  if (!uri.startsWith('shared://')) return;
  const other = await agentWithRepository(parts);
  await other.removeArchive(uri, checkpointUid);
}

async function agentWithRepository(parts: Parts) {
  const clusterUid = await parts.clusterUid();
  for (const node of parts.caches.nodes.list().filter(isReady)) {
    const agent = parts.agents.agent(node.metadata.name, node);
    try {
      if ((await agent.listArchives(clusterUid)).repository?.shared) return agent;
    } catch (error) {
      parts.log.debug(`The agent on node ${node.metadata.name} is no help: ${String(error)}`);
    }
  }
  throw new LpmError(
    'AgentNotReachable',
    'The archive lies in the shared repository, and no agent has that at the moment.',
    { hint: 'Mount the repository on a node: see /mnt/checkpoints of the agents.' },
  );
}
