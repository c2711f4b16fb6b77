/**
 * Archives that no content refers to and no checkpoint that is being taken has made: pure, from what the agents list. Such
 * things stay behind when a checkpoint was deleted or given up while it ran, or when somebody deleted a content by hand. The
 * agents tell only of the archives of this cluster.
 */
import type { ArchiveHolding, ListArchivesResponse, PodRef } from '../../proto/gen/lpm/v1/agent.js';

export interface NodeArchives {
  node: string;
  answer: ListArchivesResponse;
}

export interface ArchiveOwners {
  contents: { uri: string; nodeName: string; checkpointUid: string; containerName: string }[];
  /** UIDs of checkpoints that have not ended. */
  working: ReadonlySet<string>;
}

export interface StrayArchive {
  /** Whose agent is asked to remove it. */
  node: string;
  uri: string;
  checkpointUid: string;
  pod: PodRef | undefined;
  bytes: number;
}

export function findStray(nodes: readonly NodeArchives[], owners: ArchiveOwners): StrayArchive[] {
  const uris = new Set(owners.contents.map(({ uri, nodeName }) => keyOf(uri, nodeName)));
  // The copy on the node and the one in the repository have two URIs, of which the content names one.
  const made = new Set(owners.contents.map((one) => `${one.checkpointUid} ${one.containerName}`));
  const stray = new Map<string, StrayArchive>();
  const asked = new Set(nodes.map(({ node }) => node));
  for (const [node, archive] of holdings(nodes)) {
    const { uri, checkpointUid, containerName, pod, bytes, nodeName } = archive;
    if (owners.working.has(checkpointUid) || made.has(`${checkpointUid} ${containerName}`)) continue;
    const key = keyOf(uri, node);
    if (uris.has(key) || stray.has(key)) continue;
    // The node that made it removes its own copy along with the shared one.
    const remover = asked.has(nodeName) ? nodeName : node;
    stray.set(key, { node: remover, uri, checkpointUid, pod, bytes: Number(bytes) });
  }
  return [...stray.values()];
}

export interface Holdings {
  archives: number;
  bytes: number;
  freeBytes: number;
  /** Nodes that see the shared repository. */
  nodes: number;
}

/** What lies in the shared repository, as far as it is this cluster's. */
export function repositoryHoldings(nodes: readonly NodeArchives[]): Holdings {
  const seeing = nodes.filter(({ answer }) => answer.repository?.shared);
  const shared = new Map<string, number>();
  for (const [, { uri, bytes }] of holdings(seeing)) {
    if (uri.startsWith('shared://')) shared.set(uri, Number(bytes));
  }
  return {
    archives: shared.size,
    bytes: [...shared.values()].reduce((sum, bytes) => sum + bytes, 0),
    freeBytes: Math.min(...seeing.map(({ answer }) => Number(answer.repository!.freeBytes)), Infinity),
    nodes: seeing.length,
  };
}

function holdings(nodes: readonly NodeArchives[]): [string, ArchiveHolding][] {
  return nodes.flatMap(({ node, answer }) =>
    answer.archives.map((archive): [string, ArchiveHolding] => [node, archive]),
  );
}

/** A path means something on its node only. */
export function keyOf(uri: string, node: string): string {
  return uri.startsWith('shared://') ? uri : `${node} ${uri}`;
}
