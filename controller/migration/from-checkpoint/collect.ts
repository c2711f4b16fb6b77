/** Collects what checks.ts judges: from the API server and from the agents of the nodes in question. Changes nothing. */
import type { PodMigration } from '../../../common/api/schema.js';
import type { Pod } from '../../../common/kube/types.js';
import { readBound, type BoundCheckpoint } from '../../checkpoint/bound.js';
import type { Parts } from '../../parts.js';
import { nodeFacts, schedulable } from '../collect-facts.js';
import { isFinal } from '../decide.js';
import { isTargetOf } from '../../../common/pods/target-pod.js';
import type { SavedFacts } from './facts.js';
import { checkpointedPod, twinsOf } from './saved-pod.js';

export async function collectSaved(parts: Parts, migration: PodMigration): Promise<SavedFacts> {
  const { caches, client } = parts;
  const namespace = migration.metadata.namespace!;
  const { targetNode } = migration.spec;
  const binding = await boundTo(parts, migration);
  const { bound } = binding;
  const nodes = caches.nodes.list();
  const pods = caches.pods.list().filter((pod) => pod.metadata.namespace === namespace);
  // What is not bound and a node that does not exist are told without asking anybody.
  const worthAsking = bound !== undefined && (!targetNode || caches.nodes.get(targetNode) !== undefined);
  const [targets, maker, missingConfigMaps, migrations] = await Promise.all([
    Promise.all(
      (targetNode ? [targetNode] : schedulable(nodes)).map((name) => nodeFacts(parts, name, worthAsking)),
    ),
    bound && nodeFacts(parts, bound.nodeName, worthAsking),
    bound ? missingMaps(parts, bound) : [],
    client.podMigrations.list({ namespace }),
  ]);
  return {
    migration,
    binding,
    podNames: pods.filter((pod) => !isTargetOf(pod, migration)).map(({ metadata }) => metadata.name),
    twins: bound ? twinsOf(bound, migration, pods) : [],
    nodeNames: nodes.map(({ metadata }) => metadata.name),
    targets,
    missingConfigMaps,
    otherMigrations: migrations.items.filter(
      (other) => other.metadata.uid !== migration.metadata.uid && !isFinal(other),
    ),
    ...(maker ? { maker } : {}),
  };
}

/** The checkpoint that is asked for, as it stands on the API server. */
export function boundTo({ client }: Parts, { metadata, spec }: PodMigration): ReturnType<typeof readBound> {
  const { kind, name } = spec.fromCheckpoint!;
  return readBound(client, { kind, name, namespace: metadata.namespace! });
}

/**
 * The kubelet prepares a pod only when what it mounts is there. Secrets are not looked for: the controller has no right to
 * read any, and the kubelet says it.
 */
async function missingMaps({ client }: Parts, bound: BoundCheckpoint): Promise<string[]> {
  const found = await Promise.all(
    mountedConfigMaps(checkpointedPod(bound)).map(async (name) =>
      (await client.configMaps.find(name, bound.namespace)) ? [] : [name],
    ),
  );
  return found.flat();
}

export function mountedConfigMaps(pod: Pod | undefined): string[] {
  const needed = (pod?.spec?.volumes ?? [])
    .flatMap(({ configMap, projected }) => [
      configMap,
      ...(projected?.sources ?? []).map((source) => source.configMap),
    ])
    .flatMap((reference) => (reference?.name && !reference.optional ? [reference.name] : []));
  return [...new Set(needed)];
}
