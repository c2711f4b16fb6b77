/** What there is of the project, before anything is taken away. */
import {
  API_VERSION,
  CONTROLLER_LABEL,
  GROUP,
  RUNTIME_CLASS,
  SYSTEM_NAMESPACE,
} from '../../common/api/names.js';
import { KINDS } from '../../common/api/kinds.js';
import type {
  ContainerCheckpoint,
  ContainerCheckpointContent,
  PodCheckpoint,
  PodCheckpointContent,
  PodMigration,
} from '../../common/api/schema.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Node, Pod } from '../../common/kube/types.js';
import { DAEMON_SET, resources, type DaemonSet } from '../doctor/objects.js';

export interface Inventory {
  /** There is anything of it at all: a kind, or the namespace. */
  installed: boolean;
  migrations: PodMigration[];
  podCheckpoints: PodCheckpoint[];
  containerCheckpoints: ContainerCheckpoint[];
  podContents: PodCheckpointContent[];
  containerContents: ContainerCheckpointContent[];
  /** Pods that run with the handler. */
  restored: Pod[];
  /** A replica of the controller works, so that what is deleted is tidied up. */
  controllerWorks: boolean;
  daemonSet: DaemonSet | undefined;
  /** Nodes that carry labels or annotations of ours, or an agent. */
  nodes: Node[];
}

/** @throws ApiError of what may not be read: half an inventory would be half an uninstallation */
export async function takeInventory(client: KubeClient): Promise<Inventory> {
  const [
    kinds,
    namespace,
    migrations,
    podCheckpoints,
    containerCheckpoints,
    podContents,
    containerContents,
    pods,
    controllers,
    daemonSet,
    nodes,
  ] = await Promise.all([
    served(client),
    client.namespaces.find(SYSTEM_NAMESPACE),
    itemsOf(client.podMigrations.list()),
    itemsOf(client.podCheckpoints.list()),
    itemsOf(client.containerCheckpoints.list()),
    itemsOf(client.podCheckpointContents.list()),
    itemsOf(client.containerCheckpointContents.list()),
    itemsOf(client.pods.list()),
    itemsOf(client.pods.list({ namespace: SYSTEM_NAMESPACE, labelSelector: CONTROLLER_LABEL })),
    resources(client).daemonSets.find(DAEMON_SET, SYSTEM_NAMESPACE),
    itemsOf(client.nodes.list()),
  ]);
  return {
    installed: kinds || namespace !== undefined,
    migrations,
    podCheckpoints,
    containerCheckpoints,
    podContents,
    containerContents,
    restored: pods.filter(
      ({ spec, status }) => spec?.runtimeClassName === RUNTIME_CLASS && !hasEnded(status?.phase),
    ),
    controllerWorks: controllers.some(isReady),
    daemonSet,
    nodes,
  };
}

/** Whether any kind of ours is served. */
async function served(client: KubeClient): Promise<boolean> {
  try {
    await client.json('GET', `/apis/${API_VERSION}`);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return false;
    throw error;
  }
}

/** Of a kind that the cluster does not know there is nothing. */
async function itemsOf<T>(list: Promise<{ items: T[] }>): Promise<T[]> {
  try {
    return (await list).items;
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return [];
    throw error;
  }
}

const hasEnded = (phase: string | undefined): boolean => phase === 'Succeeded' || phase === 'Failed';

const isReady = ({ metadata, status }: Pod): boolean =>
  !metadata.deletionTimestamp &&
  (status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false);

/** The CRDs of checkpoints, which can stay. */
export const CHECKPOINT_CRDS: readonly string[] = Object.values(KINDS)
  .filter(({ kind }) => kind !== 'PodMigration')
  .map(({ plural }) => `${plural}.${GROUP}`);
