import type { PodMigration } from '../../common/api/schema.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import { requireInstalled } from '../checks/installed.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { findMigration } from '../find-migration.js';
import type { KubeFlags } from '../flags.js';
import { follow } from '../follow.js';
import type { Invocation } from '../invocation.js';
import { MIGRATION_RESOURCE } from '../migrate/outcome.js';
import { isOver } from '../progress/stuck.js';
import type { Terminal } from '../terminal.js';
import { flow } from '../terminal.js';

export interface DeleteWish {
  names: string[];
  finished: boolean;
  allNamespaces: boolean;
  wait: boolean;
  /** Milliseconds; 0 waits for ever. */
  timeoutMs: number;
}

export async function deleteMigrations(
  invocation: Invocation,
  flags: KubeFlags,
  wish: DeleteWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal({});
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  // All names are looked up before anything is deleted: a slip in the third must not come after the first two are gone.
  const found = await chosen(client, namespace, wish, invocation);
  if (found.length === 0) {
    terminal.err(wish.allNamespaces ? 'No finished migrations.' : `No finished migrations in ${namespace}.`);
    return EXIT.done;
  }
  const stop = AbortSignal.any([
    invocation.detach.signal,
    ...(wish.timeoutMs > 0 ? [AbortSignal.timeout(wish.timeoutMs)] : []),
  ]);
  let waiting = false;
  for (const migration of found) {
    const gone = await remove(client, migration, wish, terminal, stop);
    waiting ||= !gone;
  }
  if (!waiting) return EXIT.done;
  if (invocation.detach.signal.aborted) {
    terminal.err('Detached; what was asked for goes on in the cluster.');
    return EXIT.detached;
  }
  terminal.err(`error: Not gone yet; look with: ${invocation.again(`${invocation.program} list`)}`);
  return EXIT.timedOut;
}

async function chosen(
  client: KubeClient,
  namespace: string,
  { names, finished, allNamespaces }: DeleteWish,
  invocation: Invocation,
): Promise<PodMigration[]> {
  if (!finished) {
    return Promise.all(
      names.map((name) =>
        findMigration(client, namespace, { name, onlyPod: false, onlyName: true }, invocation),
      ),
    );
  }
  const { items } = await client.podMigrations.list(allNamespaces ? {} : { namespace });
  return items.filter(({ status }) => isOver(status ?? {}));
}

/** Whether it is gone, as far as it was waited for. */
async function remove(
  client: KubeClient,
  { metadata, status }: PodMigration,
  { wait, allNamespaces }: DeleteWish,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<boolean> {
  const { name, namespace = 'default', uid } = metadata;
  const where = allNamespaces ? ` from ${namespace} namespace` : '';
  if (!isOver(status ?? {})) {
    terminal.err(
      flow(
        terminal,
        `note: ${name} is going on: it is rolled back first, or completed if it is past its commit`,
      ),
    );
  }
  try {
    await client.podMigrations.delete(name, namespace, { ...(uid ? { uid } : {}) });
  } catch (error) {
    // Another was faster, or made a new one of that name.
    if (!(error instanceof ApiError && (error.isNotFound || error.isConflict))) throw error;
  }
  if (wait) {
    let gone = false;
    for await (const sighting of follow(client.podMigrations, name, namespace, stop)) {
      gone = sighting.type === 'gone' || (sighting.type === 'state' && sighting.object.metadata.uid !== uid);
      if (gone) break;
    }
    if (!gone) return false;
  }
  terminal.out(`${MIGRATION_RESOURCE} "${name}" deleted${where}`);
  return true;
}
