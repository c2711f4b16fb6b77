/** Looks through all nodes once in a while for what nobody works with any more, and puts an end to it. */
import type { PodMigration } from '../../common/api/schema.js';
import { CHECKPOINT_UID_ANNOTATION } from '../checkpoint/names.js';
import { toFailure } from '../agents/failure.js';
import { isFinal } from '../migration/decide.js';
import { keptSide } from '../migration/resolution.js';
import type { Parts } from '../parts.js';
import { ArchiveSweep } from './archive-sweep.js';
import { findOrphans, keyOf, type NodeHoldings, type Orphan, type Owners } from './orphans.js';
import { settle } from './settle.js';

export interface SweepTimes {
  /** Milliseconds between two looks. */
  everyMs: number;
  /** An orphan is left alone for so long: caches lag, and what has just been made may not be seen yet. */
  graceMs: number;
}

export const SWEEP_TIMES: SweepTimes = { everyMs: 20_000, graceMs: 60_000 };

export class Sweeper {
  readonly #firstSeen = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;
  #frozenPods = 0;
  readonly #archives: ArchiveSweep;

  constructor(
    private readonly parts: Parts,
    private readonly times: SweepTimes = SWEEP_TIMES,
  ) {
    this.#archives = new ArchiveSweep(parts, times.graceMs);
    parts.metrics.gauge(
      'lpm_orphans',
      'Checkpoints, stages and frozen pods on the nodes that no migration or checkpoint object explains.',
      () => this.#firstSeen.size,
    );
    parts.metrics.gauge(
      'lpm_frozen_pods',
      'Pods that are frozen now, on all nodes that could be asked.',
      () => this.#frozenPods,
    );
  }

  start(): void {
    const again = (): void => {
      if (this.#stopped) return;
      this.#timer = setTimeout(() => {
        this.#sweeping = this.sweep()
          .then(() => (this.#stopped ? undefined : this.#archives.sweep()))
          .catch((error: unknown) => {
            this.parts.log.warn(`Looking for what nobody needs any more has failed: ${String(error)}`);
          })
          .finally(again);
      }, this.times.everyMs);
      this.#timer.unref();
    };
    again();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#sweeping;
  }

  async sweep(): Promise<void> {
    const nodes = await this.#askNodes();
    this.#frozenPods = nodes.reduce((sum, { holdings }) => sum + holdings.frozenPods.length, 0);
    const orphans = findOrphans(nodes, await this.#owners());
    const now = this.parts.now();
    const keys = new Set(orphans.map(keyOf));
    const asked = new Set(nodes.map(({ node }) => node));
    for (const key of this.#firstSeen.keys()) {
      // What a node that cannot be asked now has held before is not forgotten.
      if (!keys.has(key) && asked.has(key.split(' ')[0]!)) this.#firstSeen.delete(key);
    }
    for (const orphan of orphans) {
      const key = keyOf(orphan);
      const since = this.#firstSeen.get(key) ?? now;
      this.#firstSeen.set(key, since);
      if (now - since >= this.times.graceMs && !this.#stopped) await this.#settle(orphan);
    }
  }

  /** Everything that the nodes with an agent hold; a node that does not answer is asked the next time. */
  async #askNodes(): Promise<NodeHoldings[]> {
    const { agents, caches } = this.parts;
    const answers = await Promise.allSettled(
      caches.nodes.list().map(async (node): Promise<NodeHoldings> => ({
        node: node.metadata.name,
        holdings: await agents.agent(node.metadata.name, node).listHoldings(),
      })),
    );
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }

  /** Asked of the API server itself after the nodes: what was begun since they answered is among it. */
  async #owners(): Promise<Owners> {
    const { client } = this.parts;
    const [migrations, podCheckpoints, containerCheckpoints, podContents, containerContents] =
      await Promise.all([
        client.podMigrations.list(),
        client.podCheckpoints.list(),
        client.containerCheckpoints.list(),
        client.podCheckpointContents.list(),
        client.containerCheckpointContents.list(),
      ]);
    const uids = (items: readonly PodMigration[]): Set<string> =>
      new Set(items.map(({ metadata }) => metadata.uid!));
    return {
      migrations: uids(migrations.items.filter((migration) => !isFinal(migration))),
      keptSources: uids(migrations.items.filter((one) => isFinal(one) && keptSide(one.status) === 'Source')),
      checkpoints: new Set([
        ...[...podCheckpoints.items, ...containerCheckpoints.items].map(({ metadata }) => metadata.uid!),
        ...[...podContents.items, ...containerContents.items].flatMap(
          ({ metadata }) => metadata.annotations?.[CHECKPOINT_UID_ANNOTATION] ?? [],
        ),
      ]),
    };
  }

  async #settle(orphan: Orphan): Promise<void> {
    const { log } = this.parts;
    const fields = { node: orphan.node, orphan: orphan.kind };
    try {
      const done = await settle(this.parts, orphan);
      log.info(done, fields);
      this.#event(orphan, orphan.kind === 'frozen pod' ? 'Warning' : 'Normal', done);
      if (orphan.kind !== 'frozen pod') this.#firstSeen.delete(keyOf(orphan));
    } catch (error) {
      const failure = toFailure(error);
      const message = `What is left of a migration on node ${orphan.node} cannot be settled: ${failure.message}`;
      log.warn(message, { ...fields, reason: failure.reason });
      if (orphan.kind === 'checkpoint' && orphan.frozen) {
        this.#event(
          orphan,
          'Warning',
          `The pod stays frozen: its migration ${orphan.owner?.migrationName ?? ''} is gone, and ${failure.message} It is tried again. Deleting the pod ends it.`,
        );
      }
    }
  }

  /** Tells it where people look: on the pod, if it is about one. */
  #event(orphan: Orphan, type: 'Normal' | 'Warning', message: string): void {
    if (orphan.kind === 'restore' || !orphan.pod) return;
    const { namespace, name, uid } = orphan.pod;
    this.parts.events.record(
      { apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, uid } },
      type,
      orphan.kind === 'checkpoint' && !orphan.frozen ? 'ArtifactsRemoved' : 'Frozen',
      message,
    );
  }
}
