/**
 * The objects around a checkpoint: a PodCheckpoint, a ContainerCheckpoint for each container, and their contents. Each
 * method does the same when it is called again.
 */
import { API_VERSION, GROUP } from '../../common/api/names.js';
import type {
  CheckpointPhase,
  Condition,
  ContainerCheckpoint,
  ObjectMeta,
  PodCheckpoint,
  PodMigration,
} from '../../common/api/schema.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient, ResourceClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';
import type { CheckpointResult, ContainerArtifact } from '../../proto/gen/lpm/v1/agent.js';
import { isoTime, withCondition, withPhase } from '../status/conditions.js';
import { CONDITION, REASON } from '../status/reasons.js';
import { updateStatus } from './update-status.js';

/** On a content: UID of the checkpoint operation under which the agent holds the artifact. */
export const CHECKPOINT_UID_ANNOTATION = `${GROUP}/checkpoint-uid`;

export interface CheckpointSubject {
  podCheckpoint: PodCheckpoint | undefined;
  containerCheckpoints: ContainerCheckpoint[];
}

/** Where and of what the checkpoint is taken. */
export interface CheckpointOrigin {
  nodeName: string;
  podName: string;
  podUID: string;
  containers: { name: string; containerID: string }[];
}

interface CheckpointStatus {
  phase?: CheckpointPhase;
  message?: string;
  reason?: string;
  conditions?: Condition[];
  phaseTransitions?: { phase: string; transitionTime: string }[];
  observedGeneration?: number;
  startTime?: string;
  completionTime?: string;
  boundContentName?: string;
  sizeBytes?: number;
  nodeName?: string;
  podUID?: string;
  containerID?: string;
  containerCheckpoints?: string[];
}

export const podContentName = (uid: string) => `podcheckpointcontent-${uid}`;
export const containerContentName = (uid: string) => `containercheckpointcontent-${uid}`;

export class CheckpointObjects {
  constructor(
    private readonly client: KubeClient,
    private readonly now: () => number = Date.now,
  ) {}

  /** The PodCheckpoint of a migration and its children, made or found. */
  async createForMigration(migration: PodMigration, origin: CheckpointOrigin): Promise<CheckpointSubject> {
    const { name, namespace, uid } = migration.metadata;
    const spec = { podName: origin.podName };
    const owner = ownedBy('PodMigration', migration.metadata);
    // A user's own PodCheckpoint may have the plain name.
    for (const candidate of [name, `${name}-${uid!.slice(0, 8)}`]) {
      const podCheckpoint = await createOrFind(this.client.podCheckpoints, {
        metadata: { name: candidate, namespace: namespace!, ownerReferences: [owner] },
        spec,
      });
      if (!isOwnedBy(podCheckpoint, uid!)) continue;
      return { podCheckpoint, containerCheckpoints: await this.createChildren(podCheckpoint, origin) };
    }
    throw new Error(`There are PodCheckpoints ${name} and ${name}-${uid!.slice(0, 8)} already.`);
  }

  /** The ContainerCheckpoints of a PodCheckpoint, made or found. */
  async createChildren(
    podCheckpoint: PodCheckpoint,
    origin: CheckpointOrigin,
  ): Promise<ContainerCheckpoint[]> {
    const { name, namespace, uid } = podCheckpoint.metadata;
    const children = await Promise.all(
      origin.containers.map((container) =>
        createOrFind(this.client.containerCheckpoints, {
          metadata: {
            name: `${name}-${container.name}`,
            namespace: namespace!,
            ownerReferences: [ownedBy('PodCheckpoint', podCheckpoint.metadata)],
          },
          spec: { podName: origin.podName, containerName: container.name },
        }),
      ),
    );
    return children.filter((child) => isOwnedBy(child, uid!));
  }

  /** The checkpoint of a migration as it stands on the API server. */
  async find(namespace: string, name: string): Promise<CheckpointSubject> {
    const podCheckpoint = await this.client.podCheckpoints.find(name, namespace);
    const all = podCheckpoint ? (await this.client.containerCheckpoints.list({ namespace })).items : [];
    return {
      podCheckpoint,
      containerCheckpoints: all.filter((child) => isOwnedBy(child, podCheckpoint!.metadata.uid!)),
    };
  }

  async markRunning(subject: CheckpointSubject, origin: CheckpointOrigin): Promise<void> {
    const now = this.now();
    await this.#updateAll(subject, (status, object) => {
      // Late, or by a controller that another has replaced: what has ended stays so.
      if (isFinal(status)) return status;
      return {
        ...withPhase(withPhase(status, 'Pending', now), 'Running', now),
        message: `Pod ${origin.podName} is being checkpointed on node ${origin.nodeName}.`,
        observedGeneration: object.metadata.generation ?? 1,
        nodeName: origin.nodeName,
        podUID: origin.podUID,
        startTime: status.startTime ?? isoTime(now),
        ...(object.kind === 'PodCheckpoint'
          ? { containerCheckpoints: subject.containerCheckpoints.map(({ metadata }) => metadata.name) }
          : { containerID: containerOf(object, origin)?.containerID ?? '' }),
      };
    });
  }

  /** Makes the contents, binds them and marks everything as succeeded. */
  async succeed(
    subject: CheckpointSubject,
    origin: CheckpointOrigin,
    result: CheckpointResult,
    checkpointUid: string,
  ): Promise<void> {
    const now = this.now();
    const time = result.frozenAt ? { checkpointTime: isoTime(result.frozenAt.getTime()) } : {};
    const contents: string[] = [];
    for (const child of subject.containerCheckpoints) {
      const artifact = result.containers.find(
        ({ containerName }) => containerName === child.spec.containerName,
      );
      if (!artifact) continue;
      const content = containerContentName(child.metadata.uid!);
      contents.push(content);
      await createOrFind(this.client.containerCheckpointContents, {
        metadata: { name: content, annotations: { [CHECKPOINT_UID_ANNOTATION]: checkpointUid } },
        spec: {
          containerCheckpointRef: refTo(child),
          deletionPolicy: 'Delete',
          artifactURI: `file://${artifact.path}`,
          nodeName: origin.nodeName,
          podName: origin.podName,
          podUID: origin.podUID,
          containerName: artifact.containerName,
          ...imageOf(artifact),
          sizeBytes: Number(artifact.bytes),
          ...time,
        },
      });
      await this.#bound(this.client.containerCheckpoints, child, content, Number(artifact.bytes), now);
    }
    const { podCheckpoint } = subject;
    if (!podCheckpoint) return;
    const content = podContentName(podCheckpoint.metadata.uid!);
    await createOrFind(this.client.podCheckpointContents, {
      metadata: { name: content, annotations: { [CHECKPOINT_UID_ANNOTATION]: checkpointUid } },
      spec: {
        podCheckpointRef: refTo(podCheckpoint),
        deletionPolicy: 'Delete',
        nodeName: origin.nodeName,
        podName: origin.podName,
        podUID: origin.podUID,
        containerCheckpointContents: contents,
        sizeBytes: Number(result.totalBytes),
        ...time,
      },
    });
    await this.#bound(this.client.podCheckpoints, podCheckpoint, content, Number(result.totalBytes), now);
  }

  async fail(subject: CheckpointSubject, reason: string, message: string): Promise<void> {
    const now = this.now();
    await this.#updateAll(subject, (status, object) =>
      isFinal(status) ? status : failedStatus(status, object, reason, message, now),
    );
  }

  /**
   * At the end of a migration its artifacts are gone: the contents too. `succeeded`: whether the dump was complete.
   */
  async discard(subject: CheckpointSubject, succeeded: boolean, reason: string, why: string): Promise<void> {
    const now = this.now();
    const { podCheckpoint, containerCheckpoints } = subject;
    await Promise.all([
      ...(podCheckpoint
        ? [remove(this.client.podCheckpointContents, podContentName(podCheckpoint.metadata.uid!))]
        : []),
      ...containerCheckpoints.map(({ metadata }) =>
        remove(this.client.containerCheckpointContents, containerContentName(metadata.uid!)),
      ),
    ]);
    await this.#updateAll(subject, (status, object) => {
      const ended = isFinal(status)
        ? status
        : succeeded
          ? succeededStatus(status, object, now)
          : failedStatus(status, object, reason, why, now);
      return {
        ...ended,
        conditions: withCondition(
          ended.conditions,
          {
            type: CONDITION.ArtifactAvailable,
            status: 'False',
            reason: REASON.Discarded,
            message: 'The artifact was removed at the end of the migration that it was made for.',
          },
          now,
          object.metadata.generation,
        ),
      };
    });
  }

  async #bound<T extends PodCheckpoint | ContainerCheckpoint>(
    client: ResourceClient<T>,
    object: T,
    content: string,
    sizeBytes: number,
    now: number,
  ): Promise<void> {
    await this.#update(client, object, (status) => ({
      ...succeededStatus(status, object, now),
      conditions: withCondition(
        succeededStatus(status, object, now).conditions,
        {
          type: CONDITION.ArtifactAvailable,
          status: 'True',
          reason: REASON.Bound,
          message: `Content ${content} holds it.`,
        },
        now,
        object.metadata.generation,
      ),
      boundContentName: content,
      sizeBytes,
    }));
  }

  async #updateAll(
    subject: CheckpointSubject,
    change: (status: CheckpointStatus, object: PodCheckpoint | ContainerCheckpoint) => CheckpointStatus,
  ): Promise<void> {
    await Promise.all([
      ...(subject.podCheckpoint
        ? [
            this.#update(this.client.podCheckpoints, subject.podCheckpoint, (status) =>
              change(status, { ...subject.podCheckpoint!, kind: 'PodCheckpoint' }),
            ),
          ]
        : []),
      ...subject.containerCheckpoints.map((child) =>
        this.#update(this.client.containerCheckpoints, child, (status) =>
          change(status, { ...child, kind: 'ContainerCheckpoint' }),
        ),
      ),
    ]);
  }

  async #update<T extends PodCheckpoint | ContainerCheckpoint>(
    client: ResourceClient<T>,
    { metadata }: T,
    change: (status: CheckpointStatus) => CheckpointStatus,
  ): Promise<void> {
    await updateStatus(
      client,
      {
        name: metadata.name,
        ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
        ...(metadata.uid ? { uid: metadata.uid } : {}),
      },
      (status) => change(status as CheckpointStatus) as NonNullable<T['status']>,
    );
  }
}

function succeededStatus(status: CheckpointStatus, object: KubeObject, now: number): CheckpointStatus {
  return {
    ...withPhase(status, 'Succeeded', now),
    message: 'The checkpoint is complete.',
    completionTime: status.completionTime ?? isoTime(now),
    conditions: withCondition(
      status.conditions,
      {
        type: CONDITION.Complete,
        status: 'True',
        reason: REASON.Succeeded,
        message: 'The checkpoint is complete.',
      },
      now,
      object.metadata.generation,
    ),
  };
}

export function failedStatus<S extends CheckpointStatus>(
  status: S,
  object: KubeObject,
  reason: string,
  message: string,
  now: number,
): S {
  return {
    ...withPhase(status, 'Failed', now),
    reason,
    message,
    completionTime: isoTime(now),
    conditions: withCondition(
      status.conditions,
      { type: CONDITION.Failed, status: 'True', reason, message },
      now,
      object.metadata.generation,
    ),
  };
}

function isFinal(status: CheckpointStatus): boolean {
  return status.phase === 'Succeeded' || status.phase === 'Failed';
}

async function createOrFind<T extends KubeObject>(
  client: ResourceClient<T>,
  object: Omit<T, 'apiVersion' | 'kind'>,
): Promise<T> {
  const { name, namespace } = object.metadata;
  try {
    return await client.create(object as Partial<T>, namespace);
  } catch (error) {
    if (error instanceof ApiError && error.isAlreadyExists) return client.get(name, namespace);
    throw error;
  }
}

async function remove<T extends KubeObject>(client: ResourceClient<T>, name: string): Promise<void> {
  try {
    await client.delete(name);
  } catch (error) {
    if (!(error instanceof ApiError) || !error.isNotFound) throw error;
  }
}

function ownedBy(kind: string, { name, uid }: ObjectMeta) {
  return { apiVersion: API_VERSION, kind, name, uid: uid!, controller: true, blockOwnerDeletion: false };
}

/** True when the object's controller has this UID. */
export function isOwnedBy(object: KubeObject, uid: string): boolean {
  return object.metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
}

function refTo({ metadata }: KubeObject) {
  return { namespace: metadata.namespace!, name: metadata.name, uid: metadata.uid! };
}

function containerOf(object: PodCheckpoint | ContainerCheckpoint, origin: CheckpointOrigin) {
  const name = 'containerName' in object.spec ? object.spec.containerName : undefined;
  return origin.containers.find((container) => container.name === name);
}

function imageOf({ image, imageRef }: ContainerArtifact): { image?: string } {
  return image || imageRef ? { image: image || imageRef } : {};
}
