/** Does what was decided: each operation once more is the same as once. Decides nothing. */
import type { PodMigration } from '../../common/api/schema.js';
import { LpmError, type Reason } from '../../common/errors.js';
import { faultPoint } from '../../common/fault-point.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { Pod } from '../../common/kube/types.js';
import { Claim, TcpMode, type Progress } from '../../proto/gen/lpm/v1/agent.js';
import type { Agent } from '../agents/agent.js';
import type { CheckpointOrigin } from '../checkpoint/objects.js';
import type { Parts } from '../parts.js';
import { findCondition, isTrue } from '../status/conditions.js';
import { REASON } from '../status/reasons.js';
import type { MigrationContext } from './context.js';
import { differences } from './difference.js';
import { recordedFailure } from './draft.js';
import { archivesFor, podToMake } from './from-checkpoint/archives.js';
import { isRestore } from './from-checkpoint/is-restore.js';
import type { OperationName } from './observed.js';
import { sourceRef, targetRef } from './pod-ref.js';
import { rejectedPod } from './rejected-pod.js';
import { isTargetOf, targetPod, type TargetPod, type TargetPodPlan } from '../../common/pods/target-pod.js';

interface Act {
  parts: Parts;
  context: MigrationContext;
  plan?: TargetPodPlan;
  onProgress: (progress: Progress) => void;
}

export function act(
  parts: Parts,
  context: MigrationContext,
  operation: OperationName,
  plan: TargetPodPlan | undefined,
): void {
  context.log.debug(`${operation} begins`, { operation });
  context.operations.start(operation, async (onProgress) => {
    FAULT: await faultPoint(`controller.${operation}.before`);
    const value = await WORK[operation]({ parts, context, onProgress, ...(plan ? { plan } : {}) });
    FAULT: await faultPoint(`controller.${operation}.after`);
    return value;
  });
}

const WORK: Record<OperationName, (act: Act) => Promise<unknown>> = {
  createTarget,
  createCheckpoint,
  checkpoint,
  recordCheckpoint,
  restore,
  revoke,
  thaw,
  deleteTarget: ({ parts, context: { migration } }) =>
    deletePod(
      parts,
      migration.metadata.namespace!,
      migration.status!.restoredPodName!,
      migration.status!.restoredPodUID!,
      givenUp(migration, REASON.KeepSource),
    ),
  deleteSource: ({ parts, context: { migration } }) =>
    deletePod(
      parts,
      migration.metadata.namespace!,
      migration.spec.podName,
      migration.status!.sourcePodUID!,
      givenUp(migration, REASON.KeepTarget),
    ),
  endSource: ({ parts, context }) =>
    unlessUnknown(() => sourceAgent(parts, context).endSource(sourceRef(context.migration))),
  discardSource: ({ parts, context }) =>
    sourceAgent(parts, context).discard({ checkpointUid: knownCheckpoint(context) }),
  discardTarget: ({ parts, context }) =>
    targetAgent(parts, context).discard({ podUid: context.migration.status!.restoredPodUID! }),
  discardCheckpoint,
  clocks,
};

async function createTarget({ parts, context, plan }: Act): Promise<unknown> {
  const { migration } = context;
  const { namespace } = migration.metadata;
  if (!plan) throw new LpmError('Internal', 'It is not said what pod is to be made.');
  const asked = await (isRestore(migration)
    ? podToMake(parts, migration, plan)
    : podLikeSource(parts, migration, plan));
  let created: Pod;
  try {
    created = await parts.client.pods.create(asked.pod, namespace);
  } catch (error) {
    created = await existing(parts, context, plan.name, error);
  }
  context.createdTarget = created;
  return {
    uid: created.metadata.uid!,
    changes: asked.changes,
    differences: differences(asked.pod, created),
  };
}

async function podLikeSource(parts: Parts, migration: PodMigration, plan: TargetPodPlan): Promise<TargetPod> {
  const { podName } = migration.spec;
  const source = await parts.client.pods.find(podName, migration.metadata.namespace);
  if (source?.metadata.uid !== migration.status?.sourcePodUID || !source)
    throw new LpmError('SourceChanged', `Pod ${podName} was deleted during the migration.`);
  return targetPod(source, migration, plan);
}

/** The target pod that was created before (the answer was lost, or the controller restarted); throws if it is not ours. */
async function existing(
  parts: Parts,
  { migration }: MigrationContext,
  name: string,
  error: unknown,
): Promise<Pod> {
  if (!(error instanceof ApiError)) throw error;
  if (error.isAlreadyExists) {
    const pod = await parts.client.pods.find(name, migration.metadata.namespace);
    if (pod && isTargetOf(pod, migration) && !pod.metadata.deletionTimestamp) return pod;
  } else if (error.isTransient || error.isConflict) throw error;
  throw rejectedPod(name, error);
}

async function createCheckpoint({ parts, context }: Act): Promise<unknown> {
  const { migration } = context;
  const subject = await parts.objects.createForMigration(migration, originOf(context));
  const { uid, name } = subject.podCheckpoint!.metadata;
  context.checkpointUid = uid;
  void inOrder(context, () => parts.objects.markRunning(subject, originOf(context)));
  return { uid, name };
}

function checkpoint({ parts, context, onProgress }: Act): Promise<unknown> {
  const { migration } = context;
  return sourceAgent(parts, context).checkpoint(
    {
      checkpointUid: knownCheckpoint(context),
      pod: sourceRef(migration),
      containers: (migration.status!.sourceContainers ?? []).map(({ name, containerID }) => ({
        name,
        containerId: containerID,
      })),
      tcp: migration.spec.tcp === 'Refuse' ? TcpMode.TCP_MODE_REFUSE : TcpMode.TCP_MODE_CLOSE,
      thawAfter: false,
      owner: {
        restoreUid: migration.metadata.uid!,
        migrationName: migration.metadata.name,
        targetPodUid: migration.status!.restoredPodUID!,
        targetNodeName: migration.status!.targetNode!,
      },
      dumpTimeout: undefined,
      archive: undefined,
    },
    onProgress,
  );
}

async function recordCheckpoint({ parts, context }: Act): Promise<void> {
  const { checkpoint } = context.operations.all;
  if (checkpoint.state !== 'done') return;
  await inOrder(context, async () => {
    const subject = await parts.objects.find(context.migration.metadata.namespace!, checkpointName(context));
    if (subject.podCheckpoint?.metadata.uid !== knownCheckpoint(context)) return;
    await parts.objects.succeed(subject, originOf(context), checkpoint.value, knownCheckpoint(context));
  });
}

async function restore({ parts, context, onProgress }: Act): Promise<unknown> {
  const { migration } = context;
  const { sourceContainers = [] } = migration.status!;
  const from = isRestore(migration)
    ? {
        checkpointUid: '',
        sourceAddress: '',
        sourceNodeName: '',
        archives: await archivesFor(parts, migration),
      }
    : artifactsFor(parts, context);
  return targetAgent(parts, context).restore(
    {
      restoreUid: migration.metadata.uid!,
      pod: targetRef(migration),
      containerNames: sourceContainers.map(({ name }) => name),
      hold: false,
      ...from,
    },
    onProgress,
  );
}

function artifactsFor(parts: Parts, context: MigrationContext) {
  const { sourceNode, targetNode } = context.migration.status!;
  const elsewhere = sourceNode !== targetNode;
  return {
    checkpointUid: knownCheckpoint(context),
    sourceAddress: elsewhere ? sourceAgent(parts, context).address : '',
    sourceNodeName: elsewhere ? sourceNode! : '',
    archives: [],
  };
}

async function revoke({ parts, context }: Act): Promise<unknown> {
  const { migration } = context;
  const claim = await targetAgent(parts, context).revoke(
    migration.status!.restoredPodUID!,
    migration.metadata.uid!,
  );
  switch (claim) {
    case Claim.CLAIM_COMMITTED:
    case Claim.CLAIM_REVOKED:
      return claim;
    case Claim.CLAIM_NONE:
    case Claim.CLAIM_UNSPECIFIED:
    case Claim.UNRECOGNIZED:
      throw new LpmError(
        'Internal',
        `The agent on node ${migration.status!.targetNode} did not say who holds the claim.`,
      );
    default:
      return claim satisfies never;
  }
}

async function thaw({ parts, context }: Act): Promise<void> {
  await unlessUnknown(async () => {
    const names = await sourceAgent(parts, context).thaw(
      sourceRef(context.migration),
      knownCheckpoint(context),
    );
    context.log.info(`Thawed ${names.join(', ') || 'nothing: it was not frozen'}.`);
  });
}

async function discardCheckpoint({ parts, context }: Act): Promise<void> {
  const { conditions } = context.migration.status!;
  const complete = isTrue(conditions, 'Checkpointed') || isTrue(conditions, 'Committed');
  const failure = findCondition(conditions, 'RollingBack')
    ? recordedFailure(context.migration.status!)
    : { reason: 'Canceled', message: 'The checkpoint was not taken.' };
  await inOrder(context, async () => {
    const subject = await parts.objects.find(context.migration.metadata.namespace!, checkpointName(context));
    if (subject.podCheckpoint?.metadata.uid !== knownCheckpoint(context)) return;
    await parts.objects.discard(subject, complete, failure.reason, failure.message);
  });
}

async function clocks({ parts, context }: Act): Promise<unknown> {
  const { sourceNode, targetNode } = context.migration.status!;
  const target = targetAgent(parts, context).clock();
  const source = sourceNode === targetNode ? target : sourceAgent(parts, context).clock();
  const [a, b] = await Promise.all([source, target]);
  return { source: a, target: b };
}

/** A person has decided for the other side: this side's node cannot be asked, so nobody would confirm a deletion. */
function givenUp({ status }: PodMigration, reason: string): boolean {
  const resolved = findCondition(status?.conditions, 'Resolved');
  return resolved?.status === 'True' && resolved.reason === reason;
}

/** Deletes this very pod; that it is gone, or that another has its name now, is as good. */
async function deletePod(
  parts: Parts,
  namespace: string,
  name: string,
  uid: string,
  force: boolean,
): Promise<void> {
  try {
    await parts.client.pods.delete(name, namespace, { uid, ...(force ? { gracePeriodSeconds: 0 } : {}) });
  } catch (error) {
    if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return;
    throw error;
  }
}

/** PodBusy: another checkpoint holds the pod by now, so ours was over before. */
const NOT_HELD = new Set<Reason>(['PodNotFound', 'ContainerNotFound', 'PodBusy']);

/** A pod that the node does not know any more, or not as ours, has nothing to be thawed or ended. */
async function unlessUnknown(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof LpmError && NOT_HELD.has(error.reason)) return;
    throw error;
  }
}

/** Writes to the checkpoint objects stand in a row, so that "running" cannot overtake "succeeded". */
function inOrder(context: MigrationContext, work: () => Promise<void>): Promise<void> {
  const done = context.checkpointWrites.then(work);
  context.checkpointWrites = done.catch((error: unknown) =>
    context.log.warn(`A checkpoint object cannot be written: ${String(error)}`),
  );
  return done;
}

function originOf({ migration }: MigrationContext): CheckpointOrigin {
  const { sourceNode, sourcePodUID, sourceContainers } = migration.status!;
  return {
    nodeName: sourceNode!,
    podName: migration.spec.podName,
    podUID: sourcePodUID!,
    containers: sourceContainers ?? [],
  };
}

function checkpointName({ migration }: MigrationContext): string {
  return migration.status!.podCheckpointName ?? migration.metadata.name;
}

function knownCheckpoint({ checkpointUid, migration }: MigrationContext): string {
  const uid = migration.status?.podCheckpointUID ?? checkpointUid;
  if (uid) return uid;
  throw new LpmError(
    'CheckpointNotFound',
    `The PodCheckpoint of migration ${migration.metadata.name} is gone, so its artifacts cannot be named.`,
    { hint: 'Do not delete the PodCheckpoint of a migration that is going on; migrate again.' },
  );
}

function sourceAgent(parts: Parts, { migration }: MigrationContext): Agent {
  const name = migration.status!.sourceNode!;
  return parts.agents.agent(name, parts.caches.nodes.get(name));
}

function targetAgent(parts: Parts, { migration }: MigrationContext): Agent {
  const name = migration.status!.targetNode!;
  return parts.agents.agent(name, parts.caches.nodes.get(name));
}
