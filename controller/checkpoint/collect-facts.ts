/** Collects what refusals.ts judges: from the API server and from the agent of the pod's node. Changes nothing. */
import type { Pod } from '../../common/kube/types.js';
import { inspect, nodeFacts } from '../migration/collect-facts.js';
import { isFinal } from '../migration/decide.js';
import type { Parts } from '../parts.js';
import { freezesNow, type Checkpoint } from './kinds.js';
import type { CheckpointFacts } from './refusals.js';
import { wayOf } from './turn.js';

export async function collectFacts(parts: Parts, checkpoint: Checkpoint): Promise<CheckpointFacts> {
  const { namespace = '' } = checkpoint.metadata;
  const { podName } = checkpoint.spec;
  const pod = await parts.client.pods.find(podName, namespace);
  const nodeName = pod?.spec?.nodeName;
  const node = nodeName ? parts.caches.nodes.get(nodeName) : undefined;
  const [onNode, inspection, busyWith] = await Promise.all([
    pod && nodeName && node ? nodeFacts(parts, nodeName, true) : undefined,
    pod && nodeName && node && wayOf(checkpoint) === 'Agent' ? inspect(parts, nodeName, pod) : undefined,
    busy(parts, checkpoint),
  ]);
  return {
    namespace,
    podName,
    way: wayOf(checkpoint),
    pod,
    podNames: podNames(parts, namespace),
    ...('containerName' in checkpoint.spec ? { containerName: checkpoint.spec.containerName } : {}),
    ...(nodeName ? { node: onNode ?? { name: nodeName, node } } : {}),
    ...(inspection ? { inspection } : {}),
    ...(busyWith ? { busyWith } : {}),
  };
}

function podNames({ caches }: Parts, namespace: string): string[] {
  return caches.pods
    .list()
    .filter((other: Pod) => other.metadata.namespace === namespace)
    .map((other) => other.metadata.name);
}

/** Asked of the API server: a copy that lags behind would let two dumps of one pod begin. */
async function busy({ client }: Parts, { metadata, spec }: Checkpoint): Promise<string | undefined> {
  const { namespace = '', uid } = metadata;
  const [migrations, ...checkpoints] = await Promise.all([
    client.podMigrations.list({ namespace }),
    client.podCheckpoints.list({ namespace }),
    client.containerCheckpoints.list({ namespace }),
  ]);
  // A restore from a checkpoint leaves the pod alone that was checkpointed; its new pod is not to be disturbed.
  const migration = migrations.items.find(
    (other) =>
      !isFinal(other) &&
      ((other.spec.podName === spec.podName && !other.spec.fromCheckpoint) ||
        other.status?.restoredPodName === spec.podName),
  );
  if (migration) return `migration ${migration.metadata.name} of the same pod`;
  const checkpoint = checkpoints
    .flatMap(({ items }): Checkpoint[] => items)
    .find((other) => other.spec.podName === spec.podName && other.metadata.uid !== uid && freezesNow(other));
  return checkpoint ? `checkpoint ${checkpoint.metadata.name} of the same pod` : undefined;
}
