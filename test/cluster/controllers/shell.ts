/** What the controllers of the cluster itself share, next to those of its workloads. */
import type { KubeClient } from '../../../common/kube/client.js';
import type { ListWatch } from '../../../common/kube/list-watch.js';
import type { Lease, Namespace, Node, Pod } from '../../../common/kube/types.js';
import type { Requeue } from '../../../controller/queue.js';
import type { CacheChange } from '../workloads/caches.js';
import type { Events } from '../workloads/events.js';
import type { Inventory, ItemChange } from './inventory.js';

export interface ClusterShell {
  client: KubeClient;
  caches: {
    pods: ListWatch<Pod>;
    nodes: ListWatch<Node>;
    namespaces: ListWatch<Namespace>;
    /** Those of the nodes. */
    leases: ListWatch<Lease>;
  };
  inventory: Inventory;
  events: Events;
  now(): number;
  options: ClusterOptions;
}

export interface ClusterOptions {
  /** How long a node may be silent. Default 40 s, as in kube-controller-manager. */
  nodeGraceMs?: number;
}

export interface ClusterController {
  name: string;
  /** Keys that are worked on at the same time; 5 without. */
  workers?: number;
  /** Keys to look at after a change of a copy. */
  keysOf?(change: CacheChange): string[];
  /** Keys to look at after a change of any object's metadata. */
  keysOfItem?(change: ItemChange): string[];
  sync(key: string): Promise<Requeue | void>;
}
