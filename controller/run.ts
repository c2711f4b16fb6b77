/** Puts the controller together and runs it: caches, queues, reconcilers. main.ts starts it, tests too. */
import type { ChannelCredentials } from '@grpc/grpc-js';
import { hostname } from 'node:os';
import { API_VERSION, SYSTEM_NAMESPACE } from '../common/api/names.js';
import { LpmError } from '../common/errors.js';
import { crdsInstalled, type KubeClient } from '../common/kube/client.js';
import type { KubeObject, Pod } from '../common/kube/types.js';
import { ApiError } from '../common/kube/api-error.js';
import type { AgentTimeouts } from './agents/agent.js';
import { AgentPool } from './agents/pool.js';
import { allCaches, makeCaches, type CacheName } from './caches.js';
import { ContentReconciler, contentsToLookAt } from './checkpoint/contents.js';
import { CheckpointObjects } from './checkpoint/objects.js';
import { OpenTransfers } from './checkpoint/open-transfers.js';
import { CheckpointReconciler } from './checkpoint/reconcile.js';
import { Retainer } from './checkpoint/retainer.js';
import { NO_LIMITS, type Limits } from './checkpoint/retention.js';
import { clusterUid } from './cluster-uid.js';
import { EventRecorder } from './events.js';
import { soleLeader, type Leadership } from './leader/leadership.js';
import type { Log } from './log.js';
import { Metrics } from './metrics.js';
import { REJOIN_MS } from './migration/frozen.js';
import { MigrationReconciler } from './migration/reconcile.js';
import { NodeLabeller } from './node-labels/labeller.js';
import type { Parts } from './parts.js';
import { Sweeper, type SweepTimes } from './sweep/sweeper.js';
import { WorkQueue, type Requeue } from './queue.js';

export interface ControllerOptions {
  client: KubeClient;
  /** The certificate for the agents as it is now. */
  agentTls: () => ChannelCredentials;
  agentPort: number;
  /** Objects that are worked on at the same time, of each kind. */
  workers: number;
  log: Log;
  agentTimeouts?: AgentTimeouts;
  /** How long a lost call is taken up again while the source is frozen. */
  rejoinMs?: number;
  /** Whether this process may act; until then it only fills its caches. Default: it is the only one. */
  leadership?: Leadership;
  /** How many checkpoints of users are kept; default: all. */
  retention?: Limits;
  /** Namespace of controller and agents. */
  namespace?: string;
  /** Default: metrics of its own. */
  metrics?: Metrics;
  /** How often, and how soon, what nobody works with any more is put an end to. */
  sweepTimes?: SweepTimes;
  /** Milliseconds between two looks at how ready the nodes are. */
  labelEveryMs?: number;
}

export interface Controller {
  /** True when every cache has its first list. */
  readonly ready: boolean;
  readonly metrics: Metrics;
  /** Resolves when the caches are filled. */
  synced: Promise<void>;
  /** Resolves when the queues run: the caches are filled and this process may act. */
  started: Promise<void>;
  /** Stops taking work and waits for the writes that are under way. What agents do goes on without us. */
  stop(): Promise<void>;
}

/** A change of these may let a finished checkpoint go; changes that follow each other are looked at together. */
const RETAINED = new Set<CacheName>([
  'migrations',
  'podCheckpoints',
  'containerCheckpoints',
  'podContents',
  'containerContents',
]);
const RETENTION_MS = 200;

/** Throws LpmError when the cluster does not serve our kinds. */
export async function requireCrds(client: KubeClient): Promise<void> {
  if (await crdsInstalled(client)) return;
  throw new LpmError(
    'InvalidArgument',
    `The cluster at ${client.server} does not know the kinds of ${API_VERSION}.`,
    {
      hint: 'Install them: kubectl apply -f manifests/crd/',
    },
  );
}

export function runController(options: ControllerOptions): Controller {
  const { client, log, workers, leadership = soleLeader() } = options;
  const { metrics = new Metrics() } = options;
  const agents = new AgentPool({
    tls: options.agentTls,
    port: options.agentPort,
    assertMayCall: () => leadership.assertLeader(),
    ...(options.agentTimeouts ? { timeouts: options.agentTimeouts } : {}),
  });
  const events = new EventRecorder(client.events, hostname(), (error) =>
    log.warn(`An event cannot be written: ${String(error)}`),
  );

  const queue = (name: string, reconcile: (key: string) => Promise<Requeue>) => {
    const made: WorkQueue = new WorkQueue(reconcile, {
      workers,
      onError: (key, error, attempt) => {
        metrics.count('lpm_reconcile_errors_total', 'Reconciliations that failed and are tried again.', {
          kind: name,
        });
        // The same trouble again and again is said at longer and longer intervals.
        if (Number.isInteger(Math.log2(attempt))) logFailure(log, name, key, error, attempt);
      },
    });
    metrics.gauge(`lpm_${name}_queue_depth`, `Keys of ${name} that wait or are worked on.`, () => made.depth);
    return made;
  };
  const queues = {
    migrations: queue('migrations', (key) => migrations.reconcile(key)),
    podCheckpoints: queue('pod_checkpoints', (key) => podCheckpoints.reconcile(key)),
    containerCheckpoints: queue('container_checkpoints', (key) => containerCheckpoints.reconcile(key)),
    podContents: queue('pod_contents', (key) => podContents.reconcile(key)),
    containerContents: queue('container_contents', (key) => containerContents.reconcile(key)),
    retention: queue('retention', () => retainer.reconcile()),
  };

  const onChange = (
    cache: CacheName,
    key: string,
    object: KubeObject | undefined,
    old: KubeObject | undefined,
  ): void => {
    if (RETAINED.has(cache)) queues.retention.addAfter('all', RETENTION_MS);
    switch (cache) {
      case 'migrations':
        queues.migrations.add(key);
        break;
      case 'podCheckpoints':
        if (object) queues.podCheckpoints.add(key);
        else lookAtContents(old!);
        break;
      case 'containerCheckpoints':
        if (object) queues.containerCheckpoints.add(key);
        else lookAtContents(old!);
        break;
      case 'podContents':
        if (object) queues.podContents.add(key);
        else lookAtContents(old!);
        break;
      case 'containerContents':
        queues.containerContents.add(key);
        break;
      case 'pods':
        for (const one of migrations.keysFor((object ?? old) as Pod)) queues.migrations.add(one);
        break;
      case 'nodes':
        break;
      default:
        cache satisfies never;
    }
  };
  const caches = makeCaches(client, log, onChange);
  const lookAtContents = (gone: KubeObject): void => {
    const { podContents, containerContents } = contentsToLookAt(caches, gone);
    for (const name of podContents) queues.podContents.add(name);
    for (const name of containerContents) queues.containerContents.add(name);
  };

  const parts: Parts = {
    client,
    caches,
    agents,
    events,
    objects: new CheckpointObjects(client),
    metrics,
    clusterUid: clusterUid(client),
    namespace: options.namespace ?? SYSTEM_NAMESPACE,
    transfers: new OpenTransfers(),
    log,
    now: Date.now,
    rejoinMs: options.rejoinMs ?? REJOIN_MS,
  };
  const migrations = new MigrationReconciler(parts, (key) => queues.migrations.add(key));
  const podCheckpoints = new CheckpointReconciler(parts, 'PodCheckpoint', (key) =>
    queues.podCheckpoints.add(key),
  );
  const containerCheckpoints = new CheckpointReconciler(parts, 'ContainerCheckpoint', (key) =>
    queues.containerCheckpoints.add(key),
  );
  const podContents = new ContentReconciler(parts, 'PodCheckpointContent');
  const containerContents = new ContentReconciler(parts, 'ContainerCheckpointContent');
  const retainer = new Retainer(parts, options.retention ?? NO_LIMITS);
  metrics.gauge('lpm_migrations_active', 'Migrations that are going on.', () => migrations.active);

  metrics.gauge('lpm_leader', 'Whether this replica acts (1) or stands by (0).', () =>
    leadership.isLeader ? 1 : 0,
  );
  const sweeper = new Sweeper(parts, options.sweepTimes);
  const labeller = new NodeLabeller(parts, options.labelEveryMs);

  for (const cache of allCaches(caches)) cache.start();
  let stopped = false;
  const synced = Promise.all(allCaches(caches).map((cache) => cache.synced())).then(() => {});
  const started = Promise.all([synced, leadership.acquired]).then(() => {
    if (stopped) return;
    for (const one of Object.values(queues)) one.start();
    sweeper.start();
    labeller.start();
    log.info('The controller works.', { migrations: caches.migrations.list().length });
  });
  leadership.lost.addEventListener('abort', () => {
    stopped = true;
    for (const one of Object.values(queues)) void one.stop();
    void sweeper.stop();
    void labeller.stop();
    void agents.close();
  });

  return {
    get ready() {
      return allCaches(caches).every((cache) => cache.hasSynced);
    },
    metrics,
    synced,
    started,
    async stop() {
      stopped = true;
      await Promise.all([sweeper.stop(), labeller.stop()]);
      await Promise.all(Object.values(queues).map((one) => one.stop()));
      await Promise.all(allCaches(caches).map((cache) => cache.stop()));
      await migrations.flush();
      await events.flush();
      await agents.close();
    },
  };
}

function logFailure(log: Log, kind: string, key: string, error: unknown, attempt: number): void {
  const known = error instanceof LpmError || error instanceof ApiError;
  log.warn(`${kind} ${key} is tried again: ${error instanceof Error ? error.message : String(error)}`, {
    [kind === 'migrations' ? 'migration' : 'key']: key,
    attempt,
    // A stack helps only against our own mistakes, and those are for the log.
    ...(known || !(error instanceof Error) || error.name !== 'TypeError' ? {} : { stack: error.stack }),
  });
}
