/**
 * The controllers of Kubernetes' own workloads, imitated for tests of owners: what a Deployment, StatefulSet or Job does
 * with its pods, what a Service makes of them, and what a budget allows. They talk to the API server like any client.
 */
import { messageOf } from '../../../common/errors.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import { WorkQueue } from '../../../controller/queue.js';
import { allCaches, makeCaches, type CacheChange } from './caches.js';
import { daemonSetController } from './daemonset.js';
import { deploymentController } from './deployment.js';
import { disruptionController } from './disruption.js';
import { endpointsController, endpointSliceController } from './endpoints.js';
import { Events } from './events.js';
import { jobController } from './job.js';
import { replicaSetController } from './replicaset.js';
import { isEndOfNamespace, type Controller, type Shell, type WorkloadOptions } from './shell.js';
import { statefulSetController } from './statefulset.js';
import { workloadClients } from './types.js';

export interface Workloads {
  /** Resolves when every copy has its first list. */
  synced(): Promise<void>;
  close(): Promise<void>;
}

const controllers: ((shell: Shell) => Controller)[] = [
  replicaSetController,
  deploymentController,
  statefulSetController,
  daemonSetController,
  jobController,
  endpointSliceController,
  endpointsController,
  disruptionController,
];

/** Owners of one kind that are worked on at the same time, as in kube-controller-manager. */
const workers = 5;

export function startWorkloads(
  client: KubeClient,
  log: (message: string) => void,
  options: WorkloadOptions = {},
): Workloads {
  const clients = workloadClients(client);
  const queues: { controller: Controller; queue: WorkQueue }[] = [];
  const onChange = (change: CacheChange): void => {
    for (const { controller, queue } of queues) {
      for (const key of controller.keysOf(change)) queue.add(key);
    }
  };
  const caches = makeCaches(clients, onChange, (message) => log(`workloads: ${message}`));
  const shell: Shell = {
    client,
    clients,
    caches,
    events: new Events(clients.events),
    now: Date.now,
    options,
  };
  for (const make of controllers) {
    const controller = make(shell);
    const queue = new WorkQueue((key) => controller.sync(key), {
      workers,
      backoff: { initialMs: 10, maxMs: 60_000, jitter: 0.1 },
      onError: (key, error) => {
        if (!isPassing(error)) log(`${controller.name}: ${key}: ${messageOf(error)}`);
      },
    });
    queues.push({ controller, queue });
  }
  const all = allCaches(caches);
  for (const cache of all) cache.start();
  const synced = Promise.all(all.map((cache) => cache.synced())).then(() => {
    for (const { queue } of queues) queue.start();
  });
  return {
    synced: () => synced,
    async close() {
      await Promise.all(queues.map(({ queue }) => queue.stop()));
      await shell.events.flushed();
      await Promise.all(all.map((cache) => cache.stop()));
    },
  };
}

/** What only says that the copy was old or the namespace ends: the next look finds it so. */
function isPassing(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return cause instanceof ApiError && (cause.isConflict || cause.isNotFound || isEndOfNamespace(cause));
}
