/** The pod of an imported checkpoint. Whoever restores it creates it: nobody else's rights stand behind what comes from outside. */
import type { PodMigration } from '../../../common/api/schema.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import type { Pod } from '../../../common/kube/types.js';
import { OWNERS_LABEL } from '../../../common/pods/owner-labels.js';
import { originOf, restoredName } from '../../../common/pods/restored-name.js';
import { targetPod } from '../../../common/pods/target-pod.js';
import { CliError } from '../../cli-error.js';
import type { Checkpoint } from '../kinds.js';

export interface ImportedPod {
  name: string;
  /** The pod as it was elsewhere. */
  source: Pod;
  targetOf(migration: PodMigration): Pod;
}

/** @throws CliError when the import has no pod, or its name is taken */
export async function importedPod(
  client: KubeClient,
  checkpoint: Checkpoint,
  namespace: string,
  wish: { to?: string; pod?: string },
): Promise<ImportedPod> {
  const { metadata, spec } = checkpoint;
  const containers = (spec.import?.archives ?? []).map(({ containerName }) => containerName);
  const source = podOfImport(metadata.name, spec.import?.podJSON, namespace, containers);
  const taken = await namesIn(client, namespace);
  if (wish.pod !== undefined && taken.has(wish.pod)) {
    throw new CliError(`There is a pod named "${wish.pod}" in namespace "${namespace}" already.`, [
      'Choose another name with --as, or leave it out.',
    ]);
  }
  const name = wish.pod ?? restoredName(originOf(source), (other) => taken.has(other));
  return {
    name,
    source,
    targetOf: (migration) =>
      targetPod(source, migration, { name, ...(wish.to === undefined ? {} : { nodeName: wish.to }) }).pod,
  };
}

/** The pod that an import keeps, without what belongs to the cluster that it comes from. Throws CliError. */
export function podOfImport(
  checkpoint: string,
  json: string | undefined,
  namespace: string,
  containers: readonly string[],
): Pod {
  const no = (why: string) =>
    new CliError(`The imported checkpoint ${checkpoint} cannot be restored: ${why}.`, [
      'Export it again where it comes from, and import that.',
    ]);
  if (json === undefined) throw no('its file did not say what pod it was taken of');
  let pod: Pod;
  try {
    pod = JSON.parse(json) as Pod;
  } catch {
    throw no('the pod that it keeps is not JSON');
  }
  if (typeof pod?.metadata?.name !== 'string' || !Array.isArray(pod.spec?.containers))
    throw no('it keeps no pod');
  const { name, uid, labels, annotations } = pod.metadata;
  const { nodeName: _, ...spec } = pod.spec!;
  // Of a pod of several containers one may have been checkpointed by itself.
  const kept = spec.containers.filter((container) => containers.includes(container.name));
  if (kept.length !== containers.length) throw no('the pod that it keeps has other containers');
  return {
    metadata: {
      name,
      namespace,
      ...(uid ? { uid } : {}),
      // A controller of this cluster that has such a hash or name would take the pod for its own.
      ...(labels
        ? { labels: Object.fromEntries(Object.entries(labels).filter(([key]) => !OWNERS_LABEL.test(key))) }
        : {}),
      ...(annotations ? { annotations } : {}),
    },
    spec: { ...spec, containers: kept },
  };
}

/** What a person should know of a pod that comes from outside before it runs with their rights. */
export function remarkable({ spec }: Pod): string[] {
  if (!spec) return [];
  const said: string[] = [];
  const containers = spec.containers
    .filter(({ securityContext }) => securityContext?.privileged)
    .map(({ name }) => name);
  if (containers.length > 0)
    said.push(`the imported pod runs privileged (container ${containers.join(', ')}).`);
  if (spec.hostNetwork || spec.hostPID || spec.hostIPC)
    said.push('the imported pod uses namespaces of its node.');
  const paths = (spec.volumes ?? []).flatMap(({ hostPath }) => hostPath?.path ?? []);
  if (paths.length > 0) said.push(`the imported pod mounts ${paths.join(', ')} of its node.`);
  const account = spec.serviceAccountName;
  if (account && account !== 'default') said.push(`the imported pod acts as the service account ${account}.`);
  const secrets = (spec.volumes ?? []).flatMap(({ secret }) => secret?.secretName ?? []);
  if (secrets.length > 0)
    said.push(`the imported pod reads the secrets ${secrets.join(', ')} of this namespace.`);
  return said;
}

async function namesIn(client: KubeClient, namespace: string): Promise<Set<string>> {
  try {
    return new Set((await client.pods.list({ namespace })).items.map(({ metadata }) => metadata.name));
  } catch (error) {
    if (error instanceof ApiError && error.isForbidden) return new Set();
    throw error;
  }
}
