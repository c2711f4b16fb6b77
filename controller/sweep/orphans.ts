/**
 * What nodes hold of migrations and checkpoints that nobody works with any more: pure, from what the agents list and which
 * objects there are. Such things stay behind when an object is removed by force, when a node was away at the end of its
 * migration, or when tidying up has failed too often.
 */
import type { FrozenPod, ListHoldingsResponse, PodRef } from '../../proto/gen/lpm/v1/agent.js';
import { Claim, type CheckpointOwner } from '../../proto/gen/lpm/v1/agent.js';

export interface NodeHoldings {
  node: string;
  holdings: ListHoldingsResponse;
}

export interface Owners {
  /** UIDs of PodMigrations that have not ended. */
  migrations: ReadonlySet<string>;
  /** UIDs of those that have ended by the decision that the source runs (spec.resolution). */
  keptSources: ReadonlySet<string>;
  /** UIDs of checkpoint objects, and those that contents name as where their artifact comes from. */
  checkpoints: ReadonlySet<string>;
}

export type Orphan =
  | {
      kind: 'checkpoint';
      node: string;
      checkpointUid: string;
      pod: PodRef | undefined;
      owner: CheckpointOwner | undefined;
      /** Its pod is frozen there. */
      frozen: boolean;
      /** A person has decided that the source runs: that counts where the target's node cannot be asked. */
      sourceKept: boolean;
    }
  | { kind: 'restore'; node: string; podUid: string; restoreUid: string; claim: Claim; staged: boolean }
  /** Nothing on the node says why it is frozen: not for us to thaw, but for somebody to know. */
  | { kind: 'frozen pod'; node: string; pod: PodRef };

export function findOrphans(nodes: readonly NodeHoldings[], owners: Owners): Orphan[] {
  return nodes.flatMap((each) => [...orphanedCheckpoints(each, owners), ...orphanedRestores(each, owners)]);
}

function orphanedCheckpoints({ node, holdings }: NodeHoldings, owners: Owners): Orphan[] {
  const { checkpoints, frozenPods } = holdings;
  const held = new Set(checkpoints.map(({ pod }) => pod?.uid));
  const frozen = new Set(frozenPods.map(({ pod }) => pod?.uid));
  const orphans = checkpoints
    .filter(({ inProgress, owner, checkpointUid }) =>
      inProgress
        ? false
        : owner
          ? !owners.migrations.has(owner.restoreUid)
          : !owners.checkpoints.has(checkpointUid),
    )
    .map(({ checkpointUid, pod, owner }) => ({
      kind: 'checkpoint' as const,
      node,
      checkpointUid,
      pod,
      owner,
      frozen: pod !== undefined && frozen.has(pod.uid),
      sourceKept: owner !== undefined && owners.keptSources.has(owner.restoreUid),
    }));
  const unexplained = frozenPods
    .filter((each): each is FrozenPod & { pod: PodRef } => each.pod !== undefined && !held.has(each.pod.uid))
    .map(({ pod }) => ({ kind: 'frozen pod' as const, node, pod }));
  return [...orphans, ...unexplained];
}

/** What the claim says stays for as long as the agent keeps it; it is an orphan only while there is something to do about it. */
function orphanedRestores({ node, holdings }: NodeHoldings, owners: Owners): Orphan[] {
  return holdings.restores
    .filter(({ restoreUid, claim, staged }) => {
      if (restoreUid && owners.migrations.has(restoreUid)) return false;
      return staged || claim === Claim.CLAIM_NONE;
    })
    .map(({ podUid, restoreUid, claim, staged }) => ({
      kind: 'restore' as const,
      node,
      podUid,
      restoreUid,
      claim,
      staged,
    }));
}

/** Names an orphan from one look to the next. */
export function keyOf(orphan: Orphan): string {
  switch (orphan.kind) {
    case 'checkpoint':
      return `${orphan.node} checkpoint ${orphan.checkpointUid}`;
    case 'restore':
      return `${orphan.node} restore ${orphan.podUid}`;
    case 'frozen pod':
      return `${orphan.node} frozen ${orphan.pod.uid}`;
    default:
      return orphan satisfies never;
  }
}
