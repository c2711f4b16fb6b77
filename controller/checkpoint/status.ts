/** The status of a checkpoint from one phase to the next. Pure; times are milliseconds since the epoch. */
import type { KubeObject } from '../../common/kube/types.js';
import { Step, type ArchiveInfo, type Progress } from '../../proto/gen/lpm/v1/agent.js';
import { STEP_NAMES } from '../migration/draft.js';
import { isoTime, withCondition, withPhase, type NewCondition } from '../status/conditions.js';
import { CONDITION, REASON, type ConditionType } from '../status/reasons.js';
import type { CheckpointStatus } from './kinds.js';

export function pendingStatus(status: CheckpointStatus, message: string, now: number): CheckpointStatus {
  if (status.phase && status.phase !== 'Pending') return status;
  return { ...withPhase(status, 'Pending', now), message };
}

/** What is known from the beginning, and stands on the API server before an agent is asked for anything. */
export type Beginning = Pick<
  CheckpointStatus,
  'nodeName' | 'podUID' | 'podTemplate' | 'containerID' | 'containerCheckpoints'
>;

/** What has ended stays so: this may come late, or from a controller that another has replaced. */
export function runningStatus(
  status: CheckpointStatus,
  object: KubeObject,
  message: string,
  beginning: Beginning,
  now: number,
): CheckpointStatus {
  if (isFinal(status)) return status;
  return {
    ...withPhase(status.phase ? status : withPhase(status, 'Pending', now), 'Running', now),
    message,
    observedGeneration: object.metadata.generation ?? 1,
    startTime: status.startTime ?? isoTime(now),
    ...beginning,
  };
}

export function progressStatus(status: CheckpointStatus, progress: Progress): CheckpointStatus {
  if (status.phase !== 'Running') return status;
  return {
    ...status,
    progress: {
      step: STEP_NAMES[progress.step] ?? STEP_NAMES[Step.STEP_UNSPECIFIED],
      bytesDone: Number(progress.bytesDone),
      ...(progress.bytesTotal > 0n ? { bytesTotal: Number(progress.bytesTotal) } : {}),
    },
  };
}

export function succeededStatus(
  status: CheckpointStatus,
  object: KubeObject,
  message: string,
  now: number,
): CheckpointStatus {
  return {
    ...withConditionOf(withoutWork(withPhase(status, 'Succeeded', now)), object, now, {
      type: CONDITION.Complete,
      status: 'True',
      reason: REASON.Succeeded,
      message,
    }),
    message,
    completionTime: status.completionTime ?? isoTime(now),
  };
}

/** Succeeded, and the content holds the artifact. */
export function boundStatus(
  status: CheckpointStatus,
  object: KubeObject,
  content: { name: string; sizeBytes: number },
  message: string,
  now: number,
): CheckpointStatus {
  return {
    ...withConditionOf(succeededStatus(status, object, message, now), object, now, {
      type: CONDITION.ArtifactAvailable,
      status: 'True',
      reason: REASON.Bound,
      message: `Content ${content.name} holds it.`,
    }),
    boundContentName: content.name,
    sizeBytes: content.sizeBytes,
  };
}

export function failedStatus(
  status: CheckpointStatus,
  object: KubeObject,
  reason: string,
  message: string,
  now: number,
): CheckpointStatus {
  return {
    ...withConditionOf(withoutWork(withPhase(status, 'Failed', now)), object, now, {
      type: CONDITION.Failed,
      status: 'True',
      reason,
      message,
    }),
    reason,
    message,
    completionTime: isoTime(now),
  };
}

/** Whether the archives lie in the shared repository, and why not. */
export function repositoryStatus(
  status: CheckpointStatus,
  object: KubeObject,
  archives: readonly Pick<ArchiveInfo, 'uri' | 'repositoryProblem'>[],
  now: number,
): CheckpointStatus {
  const local = archives.find(({ uri }) => !uri.startsWith('shared://'));
  return withConditionOf(status, object, now, {
    type: CONDITION.RepositoryAvailable,
    ...(local
      ? {
          status: 'False',
          reason: REASON.Fallback,
          message: `The archive lies on its node only: ${local.repositoryProblem || 'the node has no shared repository.'}`,
        }
      : { status: 'True', reason: REASON.Shared, message: 'The archive lies in the shared repository.' }),
  });
}

export function withConditionOf<S extends CheckpointStatus>(
  status: S,
  object: KubeObject,
  now: number,
  condition: NewCondition<ConditionType>,
): S {
  return {
    ...status,
    conditions: withCondition(status.conditions, condition, now, object.metadata.generation),
  };
}

export function isFinal(status: CheckpointStatus): boolean {
  return status.phase === 'Succeeded' || status.phase === 'Failed';
}

/** What is of interest only while it runs. */
function withoutWork({
  progress: _,
  podTemplate: __,
  transfer: ___,
  ...rest
}: CheckpointStatus): CheckpointStatus {
  return rest;
}
