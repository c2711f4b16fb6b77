/** What the reconcilers are handed. */
import type { KubeClient } from '../common/kube/client.js';
import type { AgentPool } from './agents/pool.js';
import type { Caches } from './caches.js';
import type { OpenTransfers } from './checkpoint/open-transfers.js';
import type { CheckpointObjects } from './checkpoint/objects.js';
import type { EventRecorder } from './events.js';
import type { Log } from './log.js';
import type { Metrics } from './metrics.js';

export interface Parts {
  client: KubeClient;
  caches: Caches;
  agents: AgentPool;
  events: EventRecorder;
  objects: CheckpointObjects;
  metrics: Metrics;
  /** UID of this cluster: whose archives lie in a repository that clusters share. */
  clusterUid: () => Promise<string>;
  /** Namespace of controller and agents. */
  namespace: string;
  transfers: OpenTransfers;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** How long a lost call is taken up again while a source is frozen. */
  rejoinMs: number;
}
