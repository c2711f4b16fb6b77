import type { PodMigration } from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { awaitOutcome } from '../await-outcome.js';
import { IDLE } from '../idle.js';
import type { Invocation } from '../invocation.js';
import { createMigration } from '../migrate/create.js';
import { ROLLBACK_MS } from '../migrate/follow.js';
import type { Display } from '../progress/display.js';
import type { ManyDisplay } from '../progress/many.js';
import { migrationView } from '../progress/migration.js';
import { sentence } from '../progress/summary.js';
import type { Result } from './result.js';

export interface MoveWish {
  to?: string;
  tcp?: 'Close' | 'Refuse';
  allowHostPath?: boolean;
  force?: boolean;
  /** Milliseconds for one migration. */
  timeoutMs: number;
  /** Name of a migration that is going on already. */
  follow?: string;
}

/** Moves one pod, or follows the migration of it that is going on, and tells how it ended. */
export async function move(
  client: KubeClient,
  pod: Pod,
  wish: MoveWish,
  invocation: Invocation,
  display: ManyDisplay,
): Promise<Result> {
  const { name, namespace = 'default' } = pod.metadata;
  const migration =
    wish.follow !== undefined
      ? wish.follow
      : (
          await createMigration(client, namespace, {
            pod: name,
            ...(wish.to === undefined ? {} : { to: wish.to }),
            ...(wish.tcp === undefined ? {} : { tcp: wish.tcp }),
            ...(wish.allowHostPath ? { allowHostPath: true } : {}),
            ...(wish.force ? { force: true } : {}),
            timeoutMs: wish.timeoutMs,
          })
        ).metadata.name;
  const outcome = await awaitOutcome<PodMigration>({
    resource: client.podMigrations,
    name: migration,
    namespace,
    display: rowOf(`${namespace}/${name}`, display),
    timeoutMs: wish.timeoutMs + ROLLBACK_MS,
    detach: invocation.detach.signal,
    idle: IDLE,
  });
  const status = outcome.object?.status ?? {};
  const look = invocation.again(`${invocation.program} status ${migration} -n ${namespace}`);
  switch (outcome.how) {
    case 'succeeded':
      return {
        namespace,
        pod: name,
        outcome: 'Moved',
        why: '',
        blocks: false,
        ...(status.targetNode === undefined ? {} : { node: status.targetNode }),
        ...(status.downtimeMilliseconds === undefined ? {} : { downtimeMs: status.downtimeMilliseconds }),
      };
    case 'failed': {
      const why = sentence(status.message?.split('\n')[0] ?? 'The controller gives no reason.');
      // Refused before anything was frozen: it never was a candidate.
      const refused = status.frozenAt === undefined;
      return { ...left(pod, why, true), outcome: refused ? 'Left' : 'Failed' };
    }
    case 'deleted':
      return { ...left(pod, `Its migration ${migration} was deleted.`, true), outcome: 'Failed' };
    case 'timedOut':
    case 'detached':
      return unfinished(pod, `Still ${status.phase ?? 'not taken up'}; look with: ${look}`);
  }
}

/** A migration's progress as one line among several. */
function rowOf(key: string, display: ManyDisplay): Display<PodMigration> {
  return {
    update(migration) {
      const { rows, stuck } = migrationView(migration, Date.now());
      const active = rows.find(({ state }) => state === 'active');
      if (active) display.say(key, stuck[0] ?? active.label.toLowerCase());
    },
    note: (text) => display.note(text),
    end: () => Promise.resolve(),
  };
}

export function left({ metadata }: Pod, why: string, blocks: boolean): Result {
  return { namespace: metadata.namespace ?? 'default', pod: metadata.name, outcome: 'Left', why, blocks };
}

export function unfinished(pod: Pod, why: string): Result {
  return { ...left(pod, why, true), outcome: 'Unfinished' };
}
