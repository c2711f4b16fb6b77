/**
 * CRIU's logs of a migration that has ended, for `kubectl migrate logs`: a ConfigMap beside the migration, which goes with
 * it. Nothing waits for it: when an agent cannot be asked, that is written there instead.
 */
import { API_VERSION, criuLogName, GROUP } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import { messageOf } from '../../common/errors.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { ConfigMap } from '../../common/kube/types.js';
import type { KeptLog } from '../../proto/gen/lpm/v1/agent.js';
import { toFailure } from '../agents/failure.js';
import { isOwnedBy } from '../checkpoint/kinds.js';
import type { Parts } from '../parts.js';
import { findCondition } from '../status/conditions.js';
import { isRestore } from './from-checkpoint/is-restore.js';

/** Of each log, from its end. After a success they are seldom read. */
const FAILED_BYTES = 256 * 1024;
const SUCCEEDED_BYTES = 32 * 1024;
/** The API server takes 1 MiB of data in one ConfigMap. */
const TOTAL_BYTES = 1000 * 1000;

/** What one node keeps, or why it cannot be told. */
export interface NodeLogs {
  side: 'source' | 'target';
  node: string;
  logs: KeptLog[];
  problem?: string;
}

/** True when something of this migration has been dumped or restored: else there are no logs of CRIU. */
export function hasCriuLogs(migration: PodMigration): boolean {
  const { metadata, status } = migration;
  if (metadata.deletionTimestamp) return false;
  return isRestore(migration)
    ? (status?.phaseTransitions?.some(({ phase }) => phase === 'MigrationInProgress') ?? false)
    : findCondition(status?.conditions, 'Checkpointed') !== undefined;
}

/** Asks both agents and writes the ConfigMap. Never throws. */
export async function storeCriuLogs(
  parts: Parts,
  migration: PodMigration,
  checkpointUid: string | undefined,
): Promise<void> {
  const { name, namespace } = migration.metadata;
  try {
    const found = await Promise.all([
      ...(isRestore(migration) ? [] : [sourceLogs(parts, migration, checkpointUid)]),
      targetLogs(parts, migration),
    ]);
    const data = logData(found);
    if (Object.keys(data).length > 0) await write(parts, migration, data);
  } catch (error) {
    parts.log.warn(`CRIU's logs cannot be stored: ${messageOf(error)}`, {
      migration: `${namespace}/${name}`,
    });
  }
}

/** The logs by name, `<side>.<container>.<log>`, as far as there is room, and `notes` on what is missing. Pure. */
export function logData(found: readonly NodeLogs[]): Record<string, string> {
  const data: Record<string, string> = {};
  const notes: string[] = [];
  let left = TOTAL_BYTES;
  for (const { side, node, logs, problem } of found) {
    if (problem) notes.push(`The logs on node ${node} (${side}) could not be read: ${problem}`);
    for (const { containerName, name, text } of logs) {
      const key = `${side}.${containerName}.${name}`;
      const size = Buffer.byteLength(text) + key.length;
      if (size > left) {
        notes.push(`${name} of container ${containerName} on node ${node} is left out for want of room.`);
        continue;
      }
      left -= size;
      data[key] = text;
    }
  }
  return notes.length > 0 ? { ...data, notes: `${notes.join('\n')}\n` } : data;
}

async function sourceLogs(
  parts: Parts,
  migration: PodMigration,
  known: string | undefined,
): Promise<NodeLogs> {
  const node = migration.status!.sourceNode!;
  return ask({ side: 'source', node }, async () => {
    const uid = known ?? (await findCheckpoint(parts, migration));
    return uid ? logsOn(parts, node, { uid, podUid: '' }, migration) : [];
  });
}

async function targetLogs(parts: Parts, migration: PodMigration): Promise<NodeLogs> {
  const { targetNode: node = '', restoredPodUID: podUid } = migration.status!;
  return ask({ side: 'target', node }, async () =>
    node && podUid ? logsOn(parts, node, { uid: migration.metadata.uid!, podUid }, migration) : [],
  );
}

function logsOn(
  parts: Parts,
  node: string,
  of: { uid: string; podUid: string },
  { status }: PodMigration,
): Promise<KeptLog[]> {
  const maxBytes = status?.phase === 'Succeeded' ? SUCCEEDED_BYTES : FAILED_BYTES;
  return parts.agents.agent(node, parts.caches.nodes.get(node)).readLogs({ ...of, maxBytes });
}

async function ask(
  where: Pick<NodeLogs, 'side' | 'node'>,
  work: () => Promise<KeptLog[]>,
): Promise<NodeLogs> {
  try {
    return { ...where, logs: await work() };
  } catch (error) {
    return { ...where, logs: [], problem: toFailure(error).message };
  }
}

async function findCheckpoint(
  { client }: Parts,
  { metadata, status }: PodMigration,
): Promise<string | undefined> {
  const found = await client.podCheckpoints.find(
    status?.podCheckpointName ?? metadata.name,
    metadata.namespace,
  );
  return found && isOwnedBy(found, metadata.uid!) ? found.metadata.uid : undefined;
}

async function write(
  { client }: Parts,
  migration: PodMigration,
  data: Record<string, string>,
): Promise<void> {
  const { namespace, uid, name: owner } = migration.metadata;
  const name = criuLogName(owner);
  const configMap: ConfigMap = {
    metadata: {
      name,
      namespace: namespace!,
      labels: { 'app.kubernetes.io/managed-by': `controller.${GROUP}` },
      ownerReferences: [{ apiVersion: API_VERSION, kind: 'PodMigration', name: owner, uid: uid! }],
    },
    data,
  };
  try {
    await client.configMaps.create(configMap, namespace!);
  } catch (error) {
    if (!(error instanceof ApiError && error.isAlreadyExists)) throw error;
    const other = await client.configMaps.find(name, namespace);
    // One of an earlier migration of this name may still wait to be collected; anything else is somebody's own.
    const ours = other?.metadata.ownerReferences?.some(({ kind }) => kind === 'PodMigration');
    if (!other || !ours) throw new Error(`there is a ConfigMap ${name} that belongs to somebody else`);
    const { resourceVersion } = other.metadata;
    await client.configMaps.replace({
      ...configMap,
      metadata: { ...configMap.metadata, ...(resourceVersion ? { resourceVersion } : {}) },
    });
  }
}
