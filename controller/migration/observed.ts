/** What decide() looks at and what it answers. Plain data: no clients, no clocks. */
import type { PodMigration } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import type {
  CheckpointResult,
  Claim,
  Progress,
  RestoreResult,
  SourceState,
  TargetState,
} from '../../proto/gen/lpm/v1/agent.js';
import type { ClockOffset } from '../agents/clock.js';
import type { Failure } from '../agents/failure.js';
import type { Answer, MigrationFacts } from './facts.js';
import type { SavedFacts } from './from-checkpoint/facts.js';
import type { Rehearsal } from './preflight/rehearse.js';
import type { TargetPodPlan } from '../../common/pods/target-pod.js';

export type PodMigrationStatus = NonNullable<PodMigration['status']>;

/**
 * Work that takes time, and what is known of it in this process. Each can be started again at any time: the agents and the
 * API server do it once. After a restart of the controller all are 'none' and nothing is lost by it.
 */
export type Operation<T> =
  | { state: 'none' }
  | { state: 'running'; since: number; attempts: number; progress?: Progress }
  | { state: 'done'; value: T; at: number }
  | { state: 'failed'; failure: Failure; at: number; firstAt: number; attempts: number };

export interface Operations {
  /** Creates the target pod, or finds the one that was created before. */
  createTarget: Operation<{ uid: string; changes: string[]; differences: string[] }>;
  /** Creates the PodCheckpoint and its ContainerCheckpoints, or finds them. */
  createCheckpoint: Operation<{ uid: string; name: string }>;
  /** Freezes and dumps. */
  checkpoint: Operation<CheckpointResult>;
  /** Makes the contents and marks the checkpoint objects. */
  recordCheckpoint: Operation<void>;
  /** Transfers, stages, restores, commits. */
  restore: Operation<RestoreResult>;
  /** Ends with the side that holds the claim, never with CLAIM_NONE. */
  revoke: Operation<Claim.CLAIM_COMMITTED | Claim.CLAIM_REVOKED>;
  thaw: Operation<void>;
  deleteTarget: Operation<void>;
  deleteSource: Operation<void>;
  endSource: Operation<void>;
  /** Removes the artifacts on the source node. */
  discardSource: Operation<void>;
  /** Removes the stage on the target node. */
  discardTarget: Operation<void>;
  /** Deletes the contents and marks the checkpoint objects as discarded. */
  discardCheckpoint: Operation<void>;
  /** The offsets of both agents' clocks to ours. */
  clocks: Operation<{ source: ClockOffset; target: ClockOffset }>;
}

export type OperationName = keyof Operations;

export interface Observed {
  /** Milliseconds since the epoch. */
  now: number;
  /** How long a lost call is taken up again while the source is frozen; REJOIN_MS where it is not said. */
  rejoinMs?: number;
  /** With the newest status that is known, recorded on the API server or about to be. */
  migration: PodMigration;
  source: {
    /** The source pod; undefined when the API server has none of that name and UID. */
    pod: Pod | undefined;
    /** What the source agent holds; undefined when it was not asked. */
    state?: Answer<SourceState>;
  };
  target: {
    /** The target pod; undefined when the API server has none that this migration made. */
    pod: Pod | undefined;
    state?: Answer<TargetState>;
    /** The last warning event of the target pod: the kubelet's own words. */
    warning?: string;
  };
  /** UID of the PodCheckpoint of this migration, when it exists. */
  checkpointUid: string | undefined;
  /** Node of an agent that is being ended, or does not answer; asked when all is ready for the freeze. */
  awaitedAgent?: string;
  operations: Operations;
  /** Collected while there is no target pod yet. */
  facts?: MigrationFacts;
  /** What the API server said to the target pod in a dry run: of a preflight that nothing else speaks against. */
  rehearsal?: Answer<Rehearsal>;
  /** The same for a migration that brings back a saved checkpoint. */
  saved?: SavedFacts;
}

export interface EventSpec {
  on: 'migration' | 'source' | 'target';
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

export interface Decision {
  status: PodMigrationStatus;
  /** The status must stand on the API server before anything is started. */
  barrier: boolean;
  finalizer: 'add' | 'remove' | 'leave';
  start: { operation: OperationName; plan?: TargetPodPlan }[];
  events: EventSpec[];
  /** Decide again at once: the status has moved on. */
  again: boolean;
  /** Look again after so many milliseconds even if nothing is reported. */
  requeueAfterMs: number | undefined;
}

export function noOperations(): Operations {
  const none = { state: 'none' } as const;
  return {
    createTarget: none,
    createCheckpoint: none,
    checkpoint: none,
    recordCheckpoint: none,
    restore: none,
    revoke: none,
    thaw: none,
    deleteTarget: none,
    deleteSource: none,
    endSource: none,
    discardSource: none,
    discardTarget: none,
    discardCheckpoint: none,
    clocks: none,
  };
}
