/**
 * The conditions that the controller sets, and their reasons. A condition whose status is False because of a failure
 * carries the failure's reason from common/errors.ts instead.
 *
 * PodMigration
 *
 * | type           | True                                                | False                                          |
 * |----------------|-----------------------------------------------------|------------------------------------------------|
 * | Accepted       | Accepted: every check passed; Forced: all but some  | the refusal's reason                           |
 * | TargetPrepared | HandlersWaiting: the target waits for the state     | CreatingPod, WaitingForNode, WaitingForHandler |
 * | Checkpointed   | CheckpointCompleted: the dump is complete           | Freezing: the source may be frozen from now on |
 * | Committed      | Committed: the restored processes execute           | –                                              |
 * | SourceEnded    | SourceEnded: no process and no object is left of it | EndingSource                                   |
 * | RollingBack    | the failure's reason: the source is being thawed    | RolledBack, AlreadyCommitted                   |
 * | Stuck          | what keeps it from going on; it keeps trying        | Continues                                      |
 * | Resolved       | KeepSource, KeepTarget: a person has decided        | NotPossible: it is decided already             |
 * | Canceled       | –                                                   | AlreadyCommitted: it is completed all the same |
 * | Complete       | Succeeded                                           | –                                              |
 * | Failed         | the failure's reason                                | –                                              |
 *
 * One that brings back a saved checkpoint has neither Checkpointed nor SourceEnded; TargetPrepared is False with WaitingForPod
 * while it waits for the pod that somebody must make for an imported checkpoint.
 *
 * Checkpointed is recorded on the API server before the source agent is asked to freeze anything: a migration without
 * that condition has provably frozen nothing. RollingBack holds the failure that the migration will end with.
 *
 * PodCheckpoint and ContainerCheckpoint
 *
 * | type                | True                                       | False                                          |
 * |---------------------|--------------------------------------------|------------------------------------------------|
 * | Complete            | Succeeded                                  | –                                              |
 * | Failed              | the failure's reason                       | –                                              |
 * | ArtifactAvailable   | Bound: the content holds it                | Discarded: removed at the end of its migration |
 * | RepositoryAvailable | Shared: it lies in the shared repository   | Fallback: it lies on its node only             |
 * | TransferOpen        | Open: status.transfer tells where          | Complete, Expired, Withdrawn, TicketInvalid, or the failure's reason |
 *
 * PodCheckpointContent and ContainerCheckpointContent
 *
 * | type    | True | False                                                                                   |
 * |---------|------|-----------------------------------------------------------------------------------------|
 * | Removed | –    | the failure's reason: the checkpoint is gone, but the archive cannot be removed          |
 */
export const CONDITION = {
  Accepted: 'Accepted',
  TargetPrepared: 'TargetPrepared',
  Checkpointed: 'Checkpointed',
  Committed: 'Committed',
  SourceEnded: 'SourceEnded',
  RollingBack: 'RollingBack',
  Stuck: 'Stuck',
  Resolved: 'Resolved',
  Canceled: 'Canceled',
  Complete: 'Complete',
  Failed: 'Failed',
  ArtifactAvailable: 'ArtifactAvailable',
  RepositoryAvailable: 'RepositoryAvailable',
  TransferOpen: 'TransferOpen',
  Removed: 'Removed',
} as const;

export type ConditionType = keyof typeof CONDITION;

/** Reasons that are not failures. */
export const REASON = {
  Accepted: 'Accepted',
  Forced: 'Forced',
  CreatingPod: 'CreatingPod',
  WaitingForPod: 'WaitingForPod',
  WaitingForNode: 'WaitingForNode',
  WaitingForHandler: 'WaitingForHandler',
  HandlersWaiting: 'HandlersWaiting',
  Freezing: 'Freezing',
  CheckpointCompleted: 'CheckpointCompleted',
  Committed: 'Committed',
  EndingSource: 'EndingSource',
  SourceEnded: 'SourceEnded',
  RolledBack: 'RolledBack',
  AlreadyCommitted: 'AlreadyCommitted',
  Continues: 'Continues',
  KeepSource: 'KeepSource',
  KeepTarget: 'KeepTarget',
  NotPossible: 'NotPossible',
  SourceRemains: 'SourceRemains',
  Succeeded: 'Succeeded',
  Bound: 'Bound',
  Discarded: 'Discarded',
  Shared: 'Shared',
  Fallback: 'Fallback',
  Open: 'Open',
} as const;
