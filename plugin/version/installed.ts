/**
 * What of our programs runs in the cluster, from what they publish: the controller that acts on its Lease, all by their pods' images,
 * and those that are ready by what they say of themselves (/metrics).
 */
import {
  AGENT_LABEL,
  CONTROLLER_LABEL,
  CONTROLLER_LEASE,
  CONTROLLER_VERSION_ANNOTATION,
  SYSTEM_NAMESPACE,
} from '../../common/api/names.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { explain } from '../cli-error.js';
import { readMetrics } from '../doctor/metrics.js';
import { inParallel } from '../several/in-parallel.js';

/** Pods that are asked at the same time. */
const AT_ONCE = 8;

/** Pods that run the same. */
export interface Running {
  image: string;
  /** What they say of themselves; absent when they could not be asked. */
  version?: string;
  /** Digest of what runs, when the runtime tells it. */
  digest?: string;
  ready: number;
  pods: number;
  nodes: string[];
}

/** What is known of a part, and why more is not. */
export interface Part {
  version?: string;
  running: Running[];
  unknown?: string;
}

export interface Installed {
  controller: Part;
  agents: Part;
}

export async function installed(client: KubeClient): Promise<Installed> {
  const [controllers, agents, lease] = await Promise.all([
    podsOf(client, CONTROLLER_LABEL),
    podsOf(client, AGENT_LABEL),
    leaseOf(client),
  ]);
  const version = lease?.metadata.annotations?.[CONTROLLER_VERSION_ANNOTATION];
  return {
    controller: { ...controllers, ...(version === undefined ? {} : { version }) },
    agents,
  };
}

async function podsOf(client: KubeClient, labelSelector: string): Promise<Part> {
  try {
    const { items } = await client.pods.list({ namespace: SYSTEM_NAMESPACE, labelSelector });
    return { running: running(items, await versionsOf(client, items)) };
  } catch (error) {
    // What keeps us from asking anything is said once, for all of it.
    if (!(error instanceof ApiError) || error.code === 401) throw error;
    return { running: [], unknown: explain(error).message };
  }
}

/** By UID. Of one that cannot be asked (a right that is missing, a network policy) its image must do. */
async function versionsOf(client: KubeClient, pods: readonly Pod[]): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  await inParallel(pods.filter(isReady), AT_ONCE, async (pod) => {
    const { version } = await readMetrics(client, pod).catch(() => ({ version: undefined }));
    if (version !== undefined) versions.set(pod.metadata.uid ?? '', version);
  });
  return versions;
}

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;

/** Undefined where there is none, or we may not look: what the pods tell is left. */
async function leaseOf(client: KubeClient) {
  return client.leases.find(CONTROLLER_LEASE, SYSTEM_NAMESPACE).catch(() => undefined);
}

/** Pure: pods grouped by what they run. */
export function running(pods: readonly Pod[], versions: ReadonlyMap<string, string> = new Map()): Running[] {
  const groups = new Map<string, Running>();
  for (const pod of pods) {
    const { metadata, spec, status } = pod;
    const image = spec?.containers[0]?.image ?? '?';
    const digest = /sha256:[0-9a-f]{64}/.exec(status?.containerStatuses?.[0]?.imageID ?? '')?.[0];
    const version = versions.get(metadata.uid ?? '');
    const key = `${image} ${digest ?? ''} ${version ?? ''}`;
    const group = groups.get(key) ?? {
      image,
      ...(version === undefined ? {} : { version }),
      ...(digest ? { digest } : {}),
      ready: 0,
      pods: 0,
      nodes: [],
    };
    group.pods++;
    if (isReady(pod)) group.ready++;
    if (spec?.nodeName) group.nodes.push(spec.nodeName);
    groups.set(key, group);
  }
  return [...groups.values()];
}
