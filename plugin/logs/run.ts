import { setTimeout as delay } from 'node:timers/promises';
import { criuLogName, FINALIZER } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import { ApiError } from '../../common/kube/api-error.js';
import { requireInstalled } from '../checks/installed.js';
import { CliError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { findMigration, type MigrationName } from '../find-migration.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { flow } from '../terminal.js';
import { collectEvents, collectProgramLines } from './collect.js';
import { criuText, whyNoCriuLogs } from './criu.js';
import { inOrder } from './lines.js';

export interface LogsWish extends MigrationName {
  /** Only CRIU's logs. */
  criu: boolean;
}

/** The controller stores CRIU's logs right after the end of a migration: so long they are waited for. */
const STORING_MS = 15_000;

export async function logs(invocation: Invocation, flags: KubeFlags, wish: LogsWish): Promise<ExitCode> {
  const terminal = invocation.terminal({});
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const migration = await findMigration(client, namespace, wish, invocation);
  const note = (text: string) => terminal.err(flow(terminal, `note: ${text}`));
  let shown = false;
  if (!wish.criu) {
    const found = await Promise.all([
      collectEvents(client, migration),
      collectProgramLines(client, migration),
    ]);
    const lines = inOrder(found.flatMap(({ lines }) => lines));
    for (const text of found.flatMap(({ notes }) => notes)) note(text);
    if (lines.length > 0) terminal.out(lines.join('\n'));
    shown = lines.length > 0;
  }
  const stored = await storedLogs(client, migration, invocation.detach.signal);
  if (typeof stored === 'object') {
    const { texts, notes } = criuText(migration, stored);
    for (const text of notes) note(text);
    if (texts.length > 0) terminal.out(`${shown ? '\n' : ''}${texts.join('\n\n')}`);
    shown ||= texts.length > 0;
  }
  const missing = typeof stored === 'string' ? stored : '';
  if (!shown) {
    throw new CliError(
      missing || `Nothing is known of what was written about migration ${migration.metadata.name}.`,
      [`See how it stands: ${invocation.again(`${invocation.program} status ${migration.metadata.name}`)}`],
    );
  }
  if (missing) note(missing);
  return EXIT.done;
}

/** CRIU's logs by name, or why there are none. */
async function storedLogs(
  client: KubeClient,
  migration: PodMigration,
  left: AbortSignal,
): Promise<Record<string, string> | string> {
  const { name, namespace, uid } = migration.metadata;
  const deadline = Date.now() + STORING_MS;
  for (let latest: PodMigration | undefined = migration; ;) {
    try {
      const found = await client.configMaps.find(criuLogName(name), namespace);
      // One of an earlier migration of the same name may not be collected yet.
      if (found?.metadata.ownerReferences?.some((owner) => owner.uid === uid)) return found.data ?? {};
    } catch (error) {
      if (!(error instanceof ApiError && error.isForbidden)) throw error;
      return `You may not read ConfigMaps in namespace ${namespace}, where CRIU's logs are.`;
    }
    if (!isBeingStored(latest) || Date.now() > deadline || left.aborted) return whyNoCriuLogs(migration);
    await delay(300);
    latest = await client.podMigrations.find(name, namespace);
  }
}

/** It has ended, but the controller is not done with it. */
function isBeingStored(migration: PodMigration | undefined): boolean {
  const phase = migration?.status?.phase;
  return (
    (phase === 'Succeeded' || phase === 'Failed') &&
    migration?.metadata.finalizers?.includes(FINALIZER) === true
  );
}
