/** What of our programs runs in the cluster, from what they publish: the controller on its Lease, all by their pods' images. */
import {
  AGENT_LABEL,
  CONTROLLER_LABEL,
  CONTROLLER_LEASE,
  CONTROLLER_VERSION_ANNOTATION,
  SYSTEM_NAMESPACE,
} from '../../common/api/names.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { explain } from '../cli-error.js';

/** Pods that run the same image. */
export interface Running {
  image: string;
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
    return { running: running(items) };
  } catch (error) {
    return { running: [], unknown: explain(error).message };
  }
}

/** Undefined where there is none, or we may not look: what the pods tell is left. */
async function leaseOf(client: KubeClient) {
  return client.leases.find(CONTROLLER_LEASE, SYSTEM_NAMESPACE).catch(() => undefined);
}

/** Pure: pods grouped by what they run. */
export function running(pods: readonly Pod[]): Running[] {
  const groups = new Map<string, Running>();
  for (const { spec, status } of pods) {
    const image = spec?.containers[0]?.image ?? '?';
    const digest = /sha256:[0-9a-f]{64}/.exec(status?.containerStatuses?.[0]?.imageID ?? '')?.[0];
    const key = `${image} ${digest ?? ''}`;
    const group = groups.get(key) ?? { image, ready: 0, pods: 0, nodes: [], ...(digest ? { digest } : {}) };
    group.pods++;
    if (status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True')) group.ready++;
    if (spec?.nodeName) group.nodes.push(spec.nodeName);
    groups.set(key, group);
  }
  return [...groups.values()];
}
