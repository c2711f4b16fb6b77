/** Looks at the cluster before anything is created: the facts that judge.ts decides on. */
import { ApiError } from '../../common/kube/api-error.js';
import { crdsInstalled, type KubeClient } from '../../common/kube/client.js';
import type { Node, Pod } from '../../common/kube/types.js';
import type { PodMigration } from '../../common/api/schema.js';

/** Something that was looked for. `hidden`: we may not look. */
export type Found<T> = { found: T } | { found: undefined; others: string[] } | { hidden: true };

export interface Question {
  namespace: string;
  pod: string;
  node?: string;
  /** Name for the restored pod, if one was asked for. */
  restoredName?: string;
}

export interface Observed {
  crds: boolean;
  pod: Found<Pod>;
  /** Namespaces in which there is a pod of that name, when there is none here. */
  podElsewhere: string[];
  /** Undefined when no node was asked for. */
  node: Found<Node> | undefined;
  /** A migration of this pod that is not over. */
  active: PodMigration | undefined;
  /** The name for the restored pod is in use. */
  nameTaken: boolean;
}

export async function observe(client: KubeClient, question: Question): Promise<Observed> {
  const { namespace, pod, node, restoredName } = question;
  // The first request tells whether the cluster can be reached at all; asking four things would give four errors.
  if (!(await crdsInstalled(client))) {
    return {
      crds: false,
      pod: { hidden: true },
      podElsewhere: [],
      node: undefined,
      active: undefined,
      nameTaken: false,
    };
  }
  const [foundPod, foundNode, migrations, taken] = await Promise.all([
    lookFor(
      () => client.pods.find(pod, namespace),
      () => client.pods.list({ namespace }),
    ),
    node === undefined
      ? undefined
      : lookFor(
          () => client.nodes.find(node),
          () => client.nodes.list(),
        ),
    ifAllowed(client.podMigrations.list({ namespace })),
    restoredName === undefined ? undefined : ifAllowed(client.pods.find(restoredName, namespace)),
  ]);
  const missing = 'found' in foundPod && foundPod.found === undefined;
  const everywhere = missing
    ? await ifAllowed(client.pods.list({ fieldSelector: `metadata.name=${pod}` }))
    : undefined;
  return {
    crds: true,
    pod: foundPod,
    podElsewhere: (everywhere?.items ?? [])
      .filter(({ metadata }) => metadata.name === pod)
      .map(({ metadata }) => metadata.namespace ?? ''),
    node: foundNode,
    active: migrations?.items.find(
      (item) => item.spec.podName === pod && !item.spec.preflightOnly && !isOver(item),
    ),
    nameTaken: taken !== undefined,
  };
}

function isOver({ status, metadata }: PodMigration): boolean {
  return (
    status?.phase === 'Succeeded' || status?.phase === 'Failed' || metadata.deletionTimestamp !== undefined
  );
}

async function lookFor<T extends { metadata: { name: string } }>(
  find: () => Promise<T | undefined>,
  list: () => Promise<{ items: T[] }>,
): Promise<Found<T>> {
  try {
    const found = await find();
    if (found) return { found };
  } catch (error) {
    if (error instanceof ApiError && error.isForbidden) return { hidden: true };
    throw error;
  }
  const others = await ifAllowed(list());
  return { found: undefined, others: (others?.items ?? []).map(({ metadata }) => metadata.name) };
}

/** The answer, or undefined when we may not ask: the controller will check again what we cannot see. */
async function ifAllowed<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.isForbidden) return undefined;
    throw error;
  }
}
