/** Ends what an orphan has left open: by the same rules as a migration, from what its node has written down. */
import { ApiError } from '../../common/kube/api-error.js';
import { Claim, type PodRef } from '../../proto/gen/lpm/v1/agent.js';
import type { Agent } from '../agents/agent.js';
import type { Parts } from '../parts.js';
import type { Orphan } from './orphans.js';

/** What was done, as a sentence; throws when it cannot be done now. */
export async function settle(parts: Parts, orphan: Orphan): Promise<string> {
  switch (orphan.kind) {
    case 'checkpoint':
      return settleCheckpoint(parts, orphan);
    case 'restore':
      return settleRestore(parts, orphan);
    case 'frozen pod': {
      const { pod, node } = orphan;
      // Its kubelet cannot end what is frozen; that the pod is to go is all that must be known.
      if (await isToGo(parts, pod)) {
        await agentOf(parts, node).endSource(pod);
        return `Ended the frozen pod ${pod.namespace}/${pod.name} on node ${node}, whose object was deleted.`;
      }
      return `Pod ${orphan.pod.namespace}/${orphan.pod.name} is frozen on node ${orphan.node}, but not for any migration: nothing was done.`;
    }
    default:
      return orphan satisfies never;
  }
}

async function settleCheckpoint(
  parts: Parts,
  { node, checkpointUid, pod, owner, frozen, sourceKept }: Extract<Orphan, { kind: 'checkpoint' }>,
): Promise<string> {
  const agent = agentOf(parts, node);
  let what = `Removed the artifacts of checkpoint ${checkpointUid}`;
  if (owner) {
    // Before anything else: whatever still waits on the target for this checkpoint never executes, or has done so.
    if (frozen && pod && (await isToGo(parts, pod))) {
      // Somebody has deleted it: what is frozen is ended, whoever holds the claim.
      await agent.endSource(pod);
      what = `Ended the frozen pod ${pod.namespace}/${pod.name}, whose object was deleted`;
    } else {
      const claim = await agentOf(parts, owner.targetNodeName)
        .revoke(owner.targetPodUid, owner.restoreUid)
        .catch((error: unknown) => {
          // A person has answered for what this node cannot tell any more.
          if (sourceKept) return Claim.CLAIM_REVOKED;
          throw error;
        });
      if (frozen && pod) what = await settleFrozen(parts, agent, pod, checkpointUid, claim);
    }
  }
  await agent.discard({ checkpointUid });
  return `${what} on node ${node}: no migration needs it any more.`;
}

async function settleFrozen(
  parts: Parts,
  agent: Agent,
  pod: PodRef,
  checkpointUid: string,
  claim: Claim,
): Promise<string> {
  const name = `${pod.namespace}/${pod.name}`;
  switch (claim) {
    case Claim.CLAIM_REVOKED:
      await agent.thaw(pod, checkpointUid);
      return `Thawed pod ${name}`;
    case Claim.CLAIM_COMMITTED:
      try {
        await parts.client.pods.delete(pod.name, pod.namespace, { uid: pod.uid });
      } catch (error) {
        if (!(error instanceof ApiError) || !(error.isNotFound || error.isConflict)) throw error;
      }
      await agent.endSource(pod);
      return `Ended the frozen pod ${name}, which runs restored elsewhere`;
    case Claim.CLAIM_NONE:
    case Claim.CLAIM_UNSPECIFIED:
    case Claim.UNRECOGNIZED:
      throw new Error(`the target’s agent does not say who may run pod ${name}`);
    default:
      return claim satisfies never;
  }
}

async function settleRestore(
  parts: Parts,
  { node, podUid, restoreUid, claim }: Extract<Orphan, { kind: 'restore' }>,
): Promise<string> {
  const agent = agentOf(parts, node);
  // A claim needs a name; a record that cannot be read has none, and its pod's own serves.
  if (claim === Claim.CLAIM_NONE) await agent.revoke(podUid, restoreUid || podUid);
  await agent.discard({ podUid });
  return `Removed what was staged for pod UID ${podUid} on node ${node}: no migration needs it any more.`;
}

/** Nobody wants this very pod any more: its object is gone or being deleted. */
async function isToGo(parts: Parts, { namespace, name, uid }: PodRef): Promise<boolean> {
  const live = await parts.client.pods.find(name, namespace);
  return live?.metadata.uid !== uid || live.metadata.deletionTimestamp !== undefined;
}

function agentOf(parts: Parts, node: string): Agent {
  return parts.agents.agent(node, parts.caches.nodes.get(node));
}
