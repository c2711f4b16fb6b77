/** Deletes the checkpoints that are not kept any longer (retention.ts); what they hold goes with their contents. */
import { API_VERSION } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import { EXPORT_TICKET_ANNOTATION } from '../../common/api/names.js';
import type { Parts } from '../parts.js';
import type { Requeue } from '../queue.js';
import { remove } from './api-verbs.js';
import { restoring } from './in-use.js';
import { clientOf, isFinished, isMade, kindOf, type Checkpoint } from './kinds.js';
import { retention, type Finished, type Limits, type Removal } from './retention.js';

/** A timer cannot wait for longer than 24 days (setTimeout). */
const LONGEST_MS = 86_400_000;

export class Retainer {
  constructor(
    private readonly parts: Parts,
    private readonly limits: Limits,
  ) {}

  /** Looks at all finished checkpoints. */
  async reconcile(): Promise<Requeue> {
    const { caches, client } = this.parts;
    let verdict = this.#judge(caches.migrations.list());
    if (verdict.remove.length > 0) {
      // Asked of the API server itself: a restore that was begun just now must not lose what it reads.
      verdict = this.#judge((await client.podMigrations.list()).items);
    }
    for (const removal of verdict.remove) await this.#remove(removal);
    if (verdict.nextAt === undefined) return {};
    return { afterMs: Math.min(LONGEST_MS, Math.max(10, verdict.nextAt - this.parts.now())) };
  }

  #judge(migrations: readonly PodMigration[]) {
    const { caches } = this.parts;
    const all: Checkpoint[] = [...caches.podCheckpoints.list(), ...caches.containerCheckpoints.list()];
    const finished = all
      .filter((one) => isFinished(one) && !isMade(one) && !one.metadata.deletionTimestamp)
      .map((one) => this.#describe(one, migrations));
    return retention(finished, this.limits, this.parts.now());
  }

  #describe(checkpoint: Checkpoint, migrations: readonly PodMigration[]): Finished {
    const { namespace = '', name, uid = '', annotations } = checkpoint.metadata;
    const { status = {}, spec } = checkpoint;
    const kind = kindOf(checkpoint);
    return {
      kind,
      namespace,
      name,
      uid,
      podName: spec.podName,
      phase: status.phase === 'Succeeded' ? 'Succeeded' : 'Failed',
      finishedAt: Date.parse(status.completionTime ?? checkpoint.metadata.creationTimestamp ?? '') || 0,
      sizeBytes: status.sizeBytes ?? 0,
      ...(spec.ttlSecondsAfterFinished === undefined ? {} : { ttlSeconds: spec.ttlSecondsAfterFinished }),
      retained: this.#policy(checkpoint) === 'Retain',
      inUse:
        status.transfer !== undefined ||
        annotations?.[EXPORT_TICKET_ANNOTATION] !== undefined ||
        restoring(migrations, kind, { namespace, name }) !== undefined,
    };
  }

  /** Of the content as it stands: it can be changed there. */
  #policy(checkpoint: Checkpoint): string {
    const { caches } = this.parts;
    const { boundContentName: bound = '' } = checkpoint.status ?? {};
    const content =
      kindOf(checkpoint) === 'PodCheckpoint'
        ? caches.podContents.get(bound)
        : caches.containerContents.get(bound);
    return content?.spec.deletionPolicy ?? checkpoint.spec.deletionPolicy ?? 'Delete';
  }

  async #remove({ checkpoint, reason, why }: Removal): Promise<void> {
    const { client, caches, events, log, metrics } = this.parts;
    const { kind, namespace, name, uid, podName, retained } = checkpoint;
    await remove(clientOf(client, kind), name, namespace, uid);
    const message = `${kind} ${name} of pod ${podName} was removed: ${why}${retained ? ' Its archive stays.' : ''}`;
    // On the object itself too: the event outlives it, and its pod may be gone.
    events.record(
      { apiVersion: API_VERSION, kind, metadata: { namespace, name, uid } },
      'Normal',
      reason,
      message,
    );
    const pod = caches.pods.get(`${namespace}/${podName}`);
    if (pod) events.record({ ...pod, apiVersion: 'v1', kind: 'Pod' }, 'Normal', reason, message);
    log.info(message, { checkpoint: `${namespace}/${name}`, reason });
    metrics.count('lpm_checkpoints_removed_total', 'Checkpoints of users that were not kept any longer.', {
      reason,
    });
  }
}
