/** Which kinds an API server serves, each once, in the version that it prefers. */
import type { KubeClient, ResourceInfo } from '../../../common/kube/client.js';

export interface Kind extends ResourceInfo {
  namespaced: boolean;
  verbs: readonly string[];
}

interface AggregatedDiscovery {
  items: {
    metadata?: { name?: string };
    versions: {
      version: string;
      resources?: {
        resource: string;
        responseKind?: { kind: string };
        scope: 'Namespaced' | 'Cluster';
        verbs: string[];
      }[];
    }[];
  }[];
}

/** KEP-3352: all groups in one answer. */
const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

export async function discoverKinds(client: KubeClient): Promise<Kind[]> {
  const answers = await Promise.all(
    ['/api', '/apis'].map((path) => client.json<AggregatedDiscovery>('GET', path, { accept })),
  );
  return answers.flatMap(({ items }) => items.flatMap(kindsOfGroup));
}

/** Versions come in the order of preference: of a resource that stands in several, the first counts. */
function kindsOfGroup({ metadata, versions }: AggregatedDiscovery['items'][number]): Kind[] {
  const group = metadata?.name ?? '';
  const found = new Map<string, Kind>();
  for (const { version, resources = [] } of versions) {
    for (const { resource, responseKind, scope, verbs } of resources) {
      if (found.has(resource) || !responseKind) continue;
      const namespaced = scope === 'Namespaced';
      found.set(resource, { group, version, plural: resource, kind: responseKind.kind, namespaced, verbs });
    }
  }
  return [...found.values()];
}

export const nameOfKind = ({ group, plural }: Kind): string => (group ? `${plural}.${group}` : plural);
