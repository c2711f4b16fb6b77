/** Removes the archives that nothing refers to any more, after a grace period, and measures the repository. */
import { toFailure } from '../agents/failure.js';
import { CHECKPOINT_UID_ANNOTATION } from '../checkpoint/names.js';
import { isFinished } from '../checkpoint/kinds.js';
import type { Parts } from '../parts.js';
import {
  findStray,
  keyOf,
  repositoryHoldings,
  type ArchiveOwners,
  type Holdings,
  type NodeArchives,
  type StrayArchive,
} from './archives.js';

export class ArchiveSweep {
  readonly #firstSeen = new Map<string, number>();
  #holdings: Holdings = { archives: 0, bytes: 0, freeBytes: 0, nodes: 0 };

  constructor(
    private readonly parts: Parts,
    private readonly graceMs: number,
  ) {
    const { metrics } = parts;
    const gauge = (name: string, help: string, read: () => number) =>
      metrics.gauge(`lpm_repository_${name}`, help, read);
    gauge('archives', 'Archives of this cluster in the shared repository.', () => this.#holdings.archives);
    gauge('bytes', 'Their size.', () => this.#holdings.bytes);
    gauge('free_bytes', 'Free space in the shared repository; 0 when no node sees it.', () =>
      Number.isFinite(this.#holdings.freeBytes) ? this.#holdings.freeBytes : 0,
    );
    gauge('nodes', 'Nodes that can write to the shared repository.', () => this.#holdings.nodes);
    gauge('stray_archives', 'Archives that nothing refers to, not removed yet.', () => this.#firstSeen.size);
  }

  async sweep(): Promise<void> {
    const nodes = await this.#askNodes();
    this.#holdings = repositoryHoldings(nodes);
    const stray = findStray(nodes, await this.#owners());
    const now = this.parts.now();
    const keys = new Set(stray.map(({ uri, node }) => keyOf(uri, node)));
    for (const key of this.#firstSeen.keys()) if (!keys.has(key)) this.#firstSeen.delete(key);
    for (const archive of stray) {
      const key = keyOf(archive.uri, archive.node);
      const since = this.#firstSeen.get(key) ?? now;
      this.#firstSeen.set(key, since);
      if (now - since >= this.graceMs && (await this.#remove(archive))) this.#firstSeen.delete(key);
    }
  }

  async #askNodes(): Promise<NodeArchives[]> {
    const { agents, caches } = this.parts;
    const clusterUid = await this.parts.clusterUid();
    const answers = await Promise.allSettled(
      caches.nodes.list().map(async (node): Promise<NodeArchives> => ({
        node: node.metadata.name,
        answer: await agents.agent(node.metadata.name, node).listArchives(clusterUid),
      })),
    );
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }

  /** Asked of the API server itself after the nodes: what was begun since they answered is among it. */
  async #owners(): Promise<ArchiveOwners> {
    const { client } = this.parts;
    const [podCheckpoints, containerCheckpoints] = await Promise.all([
      client.podCheckpoints.list(),
      client.containerCheckpoints.list(),
    ]);
    // After the checkpoints: one that has just ended has its contents by now.
    const contents = await client.containerCheckpointContents.list();
    return {
      contents: contents.items.map(({ metadata, spec }) => ({
        uri: spec.artifactURI,
        nodeName: spec.nodeName,
        checkpointUid: metadata.annotations?.[CHECKPOINT_UID_ANNOTATION] ?? '',
        containerName: spec.containerName,
      })),
      working: new Set(
        [...podCheckpoints.items, ...containerCheckpoints.items]
          .filter((checkpoint) => !isFinished(checkpoint))
          .map(({ metadata }) => metadata.uid!),
      ),
    };
  }

  /** True when it is gone. */
  async #remove({ node, uri, checkpointUid, pod, bytes }: StrayArchive): Promise<boolean> {
    const { agents, caches, events, log, metrics } = this.parts;
    const fields = { node, archive: uri };
    try {
      await agents.agent(node, caches.nodes.get(node)).removeArchive(uri, checkpointUid);
    } catch (error) {
      const failure = toFailure(error);
      log.warn(`Archive ${uri}, which nothing refers to, cannot be removed: ${failure.message}`, {
        ...fields,
        reason: failure.reason,
      });
      return false;
    }
    const message = `Removed archive ${uri} on node ${node}: no checkpoint refers to it.`;
    log.info(message, fields);
    metrics.count(
      'lpm_repository_swept_total',
      'Archives that were removed because nothing referred to them.',
    );
    metrics.count('lpm_repository_swept_bytes_total', 'Their size.', {}, bytes);
    if (pod) {
      const { namespace, name, uid } = pod;
      const target = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, uid } };
      events.record(target, 'Normal', 'ArchiveRemoved', message);
    }
    return true;
  }
}
