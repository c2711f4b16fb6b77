import { AGENT_LABEL, CONTROLLER_LABEL, SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import { messageOf } from '../../common/errors.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { eventLine, programLine, subjectOf, type LogLine, type Subject } from './lines.js';

/** Lines, and what a person must know of those that are missing. */
export interface Collected {
  lines: LogLine[];
  notes: string[];
}

/** The events of the migration and of both pods. */
export async function collectEvents(client: KubeClient, migration: PodMigration): Promise<Collected> {
  const { namespace, uid, creationTimestamp } = migration.metadata;
  const { sourcePodUID, restoredPodUID } = migration.status ?? {};
  const begun = Date.parse(creationTimestamp ?? '');
  const uids = [uid, sourcePodUID, restoredPodUID].filter((each) => each !== undefined);
  try {
    const lists = await Promise.all(
      uids.map((each) =>
        client.events.list({ namespace: namespace!, fieldSelector: `involvedObject.uid=${each}` }),
      ),
    );
    const lines = lists.flatMap(({ items }) => items.map(eventLine));
    // A pod has events from long before its migration.
    return { lines: lines.filter(({ at }) => !(at < begun)), notes: [] };
  } catch (error) {
    return { lines: [], notes: [`Events could not be read: ${messageOf(error)}`] };
  }
}

/** What controller and agents have written about the migration, from the logs of their pods. */
export async function collectProgramLines(client: KubeClient, migration: PodMigration): Promise<Collected> {
  const subject = subjectOf(migration, await checkpointUid(client, migration));
  const { sourceNode, targetNode } = migration.status ?? {};
  let programs: { from: string; pod: Pod }[];
  try {
    const [controllers, agents] = await Promise.all([
      client.pods.list({ namespace: SYSTEM_NAMESPACE, labelSelector: CONTROLLER_LABEL }),
      client.pods.list({ namespace: SYSTEM_NAMESPACE, labelSelector: AGENT_LABEL }),
    ]);
    programs = [
      ...controllers.items.map((pod) => ({ from: 'controller', pod })),
      ...agents.items
        .filter(({ spec }) => [sourceNode, targetNode].includes(spec?.nodeName))
        .map((pod) => ({ from: `agent on ${pod.spec?.nodeName}`, pod })),
    ];
  } catch (error) {
    return {
      lines: [],
      notes: [`The logs of controller and agents could not be read: ${messageOf(error)}`],
    };
  }
  if (programs.length === 0) {
    return {
      lines: [],
      notes: [
        `Controller and agents do not run as pods in namespace ${SYSTEM_NAMESPACE} here, so their lines are not shown.`,
      ],
    };
  }
  const found = await Promise.all(
    programs.map(({ from, pod }) => podLines(client, pod, from, migration, subject)),
  );
  return {
    lines: found.flatMap(({ lines }) => lines),
    notes: [...new Set(found.flatMap(({ notes }) => notes))],
  };
}

async function podLines(
  client: KubeClient,
  pod: Pod,
  from: string,
  migration: PodMigration,
  subject: Subject,
): Promise<Collected> {
  const { name, namespace } = pod.metadata;
  const container = pod.spec?.containers[0]?.name;
  const restarted = (pod.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0;
  const lines: LogLine[] = [];
  const notes: string[] = [];
  // Of a program that was restarted, the end before it may be what matters most.
  for (const previous of restarted ? [true, false] : [false]) {
    const enough = new AbortController();
    try {
      const log = client.readLines(
        client.pods.path(namespace, name, 'log'),
        { container, previous: previous || undefined, sinceTime: migration.metadata.creationTimestamp },
        enough.signal,
      );
      for await (const text of log) {
        const line = programLine(from, text, subject);
        if (line && line.at <= subject.until) lines.push(line);
        else if (isAfter(text, subject.until)) break;
      }
    } catch (error) {
      // The former container's log may be gone.
      if (!previous) notes.push(`The log of pod ${namespace}/${name} could not be read: ${messageOf(error)}`);
    } finally {
      enough.abort();
    }
  }
  return { lines, notes };
}

/** Whether a line was written after the end: what follows is not read. */
function isAfter(text: string, end: number): boolean {
  const time = /^\{"time":"([^"]+)"/.exec(text)?.[1];
  return time !== undefined && Date.parse(time) > end;
}

/** UID of the PodCheckpoint, which names the dump in the agents' lines; undefined when it is gone. */
async function checkpointUid(
  client: KubeClient,
  { metadata, status }: PodMigration,
): Promise<string | undefined> {
  try {
    const name = status?.podCheckpointName ?? metadata.name;
    const found = await client.podCheckpoints.find(name, metadata.namespace);
    const ours = found?.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid);
    return ours ? found?.metadata.uid : undefined;
  } catch (error) {
    if (error instanceof ApiError && error.isForbidden) return undefined;
    throw error;
  }
}
