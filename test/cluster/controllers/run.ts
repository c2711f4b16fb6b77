/**
 * The controllers of Kubernetes that the local cluster imitates: its scheduler, those of nodes, namespaces and garbage, and
 * those of workloads (../workloads). They talk to the API server like any client, whichever it is.
 */
import { readFileSync } from 'node:fs';
import { messageOf } from '../../../common/errors.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import type { ListWatch } from '../../../common/kube/list-watch.js';
import type { KubeObject } from '../../../common/kube/types.js';
import { WorkQueue } from '../../../controller/queue.js';
import { makeCaches, type CacheChange, type Caches, type CachesOf } from '../workloads/caches.js';
import { workloadControllers } from '../workloads/controllers.js';
import { Events } from '../workloads/events.js';
import { isEndOfNamespace, type WorkloadOptions } from '../workloads/shell.js';
import { workloadClients } from '../workloads/types.js';
import { garbageCollector } from './garbage-collector.js';
import { Inventory, type ItemChange } from './inventory.js';
import { namespaceCleaner } from './namespace-cleaner.js';
import { namespaceFurnisher } from './namespaces.js';
import { nodeLifecycle } from './node-lifecycle.js';
import { scheduler } from './scheduler.js';
import type { ClusterController, ClusterOptions, ClusterShell } from './shell.js';

export interface ControllersOptions extends ClusterOptions {
  log(message: string): void;
  /** False: only the controllers of the cluster itself run. */
  workloads?: WorkloadOptions | false;
}

export interface Controllers {
  /** Resolves when every copy has its first list. */
  synced(): Promise<void>;
  close(): Promise<void>;
}

/** Keys of one controller that are worked on at the same time, as in kube-controller-manager. */
const defaultWorkers = 5;

export function startControllers(client: KubeClient, options: ControllersOptions): Controllers {
  const { log, workloads = {} } = options;
  const queues: { controller: ClusterController; queue: WorkQueue }[] = [];
  const onChange = (change: CacheChange): void => {
    for (const { controller, queue } of queues) {
      for (const key of controller.keysOf?.(change) ?? []) queue.add(key);
    }
  };
  const onItemChange = (change: ItemChange): void => {
    for (const { controller, queue } of queues) {
      for (const key of controller.keysOfItem?.(change) ?? []) queue.add(key);
    }
  };
  const { pods, nodes, namespaces, leases } = client;
  const clusterClients = { pods, nodes, namespaces, leases };
  const clients = workloadClients(client);
  const selections = { leases: { namespace: 'kube-node-lease' } };
  const caches: CachesOf<typeof clusterClients> & Partial<Caches> = workloads
    ? makeCaches({ ...clients, ...clusterClients }, onChange, log, selections)
    : makeCaches(clusterClients, onChange, log, selections);
  const inventory = new Inventory(client, onItemChange, log);
  const events = new Events(client.events);
  const shell: ClusterShell = { client, caches, inventory, events, now: Date.now, options };
  const controllers: ClusterController[] = [
    scheduler(shell),
    nodeLifecycle(shell),
    namespaceFurnisher(shell, caOf(client)),
    namespaceCleaner(shell),
    garbageCollector(shell),
  ];
  if (workloads) {
    const own = { client, clients, caches: caches as Caches, events, now: Date.now, options: workloads };
    controllers.push(...workloadControllers.map((make) => make(own)));
  }
  for (const controller of controllers) {
    const queue = new WorkQueue((key) => controller.sync(key), {
      workers: controller.workers ?? defaultWorkers,
      backoff: { initialMs: 10, maxMs: 60_000, jitter: 0.1 },
      onError: (key, error) => {
        if (!isPassing(error)) log(`${controller.name}: ${key}: ${messageOf(error)}`);
      },
    });
    queues.push({ controller, queue });
  }
  const copies = Object.values(caches) as unknown as ListWatch<KubeObject>[];
  for (const copy of copies) copy.start();
  const synced = Promise.all([inventory.start(), ...copies.map((copy) => copy.synced())]).then(() => {
    for (const { queue } of queues) queue.start();
  });
  return {
    synced: () => synced,
    async close() {
      await Promise.all(queues.map(({ queue }) => queue.stop()));
      await events.flushed();
      await Promise.all([inventory.stop(), ...copies.map((copy) => copy.stop())]);
    },
  };
}

/** The authority by which the client itself knows the API server. */
function caOf(client: KubeClient): string {
  const cluster = client.config.getCurrentCluster();
  if (cluster?.caData) return Buffer.from(cluster.caData, 'base64').toString('utf8');
  return cluster?.caFile ? readFileSync(cluster.caFile, 'utf8') : '';
}

/** What only says that the copy was old or the namespace ends: the next look finds it so. */
function isPassing(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return cause instanceof ApiError && (cause.isConflict || cause.isNotFound || isEndOfNamespace(cause));
}
