/** Local copies of what the controller looks at often. */
import type {
  ContainerCheckpoint,
  ContainerCheckpointContent,
  PodCheckpoint,
  PodCheckpointContent,
  PodMigration,
} from '../common/api/schema.js';
import type { KubeClient } from '../common/kube/client.js';
import { ListWatch, type ListWatchSource } from '../common/kube/list-watch.js';
import type { KubeObject, Node, Pod } from '../common/kube/types.js';
import type { Log } from './log.js';

export interface Caches {
  migrations: ListWatch<PodMigration>;
  podCheckpoints: ListWatch<PodCheckpoint>;
  containerCheckpoints: ListWatch<ContainerCheckpoint>;
  podContents: ListWatch<PodCheckpointContent>;
  containerContents: ListWatch<ContainerCheckpointContent>;
  pods: ListWatch<Pod>;
  nodes: ListWatch<Node>;
}

export type CacheName = keyof Caches;

/** Makes the caches; they follow once they are started. `onChange` is called with the key of what has changed. */
export function makeCaches(
  client: KubeClient,
  log: Log,
  onChange: (
    cache: CacheName,
    key: string,
    object: KubeObject | undefined,
    old: KubeObject | undefined,
  ) => void,
): Caches {
  const follow = <T extends KubeObject>(name: CacheName, source: ListWatchSource<T>) =>
    new ListWatch<T>(source, {
      trim: withoutManagedFields,
      onChange: (key, object, old) => onChange(name, key, object, old),
      onError: (message) => log.warn(`Watching ${name} was interrupted: ${message}`, { cache: name }),
    });
  return {
    migrations: follow('migrations', client.podMigrations),
    podCheckpoints: follow('podCheckpoints', client.podCheckpoints),
    containerCheckpoints: follow('containerCheckpoints', client.containerCheckpoints),
    podContents: follow('podContents', client.podCheckpointContents),
    containerContents: follow('containerContents', client.containerCheckpointContents),
    pods: follow('pods', client.pods),
    nodes: follow('nodes', client.nodes),
  };
}

export function allCaches(caches: Caches): ListWatch<KubeObject>[] {
  return Object.values(caches) as unknown as ListWatch<KubeObject>[];
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  const metadata: object = object.metadata;
  if (!('managedFields' in metadata)) return object;
  const { managedFields: _, ...rest } = metadata;
  return { ...object, metadata: rest };
}
