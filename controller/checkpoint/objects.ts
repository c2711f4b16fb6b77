/**
 * The objects around the checkpoint of a migration: a PodCheckpoint, a ContainerCheckpoint for each container, and their
 * contents. Its artifacts are kept for the migration only, never as archives. Each method does the same when it is called
 * again.
 */
import { API_VERSION } from '../../common/api/names.js';
import type {
  ContainerCheckpoint,
  ObjectMeta,
  PodCheckpoint,
  PodMigration,
} from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';
import type { CheckpointResult, ContainerArtifact } from '../../proto/gen/lpm/v1/agent.js';
import { isoTime } from '../status/conditions.js';
import { CONDITION, REASON } from '../status/reasons.js';
import { createOrFind, remove } from './api-verbs.js';
import { isOwnedBy, type Checkpoint, type CheckpointStatus } from './kinds.js';
import { CHECKPOINT_UID_ANNOTATION, childName, containerContentName, podContentName } from './names.js';
import {
  boundStatus,
  failedStatus,
  isFinal,
  runningStatus,
  succeededStatus,
  withConditionOf,
} from './status.js';
import { updateCheckpoint } from './update-status.js';

const COMPLETE = 'The checkpoint is complete.';

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
      return { podCheckpoint, containerCheckpoints: await this.#createChildren(podCheckpoint, origin) };
    }
    throw new Error(`There are PodCheckpoints ${name} and ${name}-${uid!.slice(0, 8)} already.`);
  }

  /** The ContainerCheckpoints of a PodCheckpoint, made or found. */
  async #createChildren(
    podCheckpoint: PodCheckpoint,
    origin: CheckpointOrigin,
  ): Promise<ContainerCheckpoint[]> {
    const { name, namespace, uid } = podCheckpoint.metadata;
    const children = await Promise.all(
      origin.containers.map((container) =>
        createOrFind(this.client.containerCheckpoints, {
          metadata: {
            name: childName(name, container.name),
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
    const { nodeName, podUID } = origin;
    const message = `Pod ${origin.podName} is being checkpointed on node ${nodeName}.`;
    await this.#updateAll(subject, (status, object) =>
      runningStatus(
        status,
        object,
        message,
        {
          nodeName,
          podUID,
          ...('containerName' in object.spec
            ? { containerID: containerOf(object as ContainerCheckpoint, origin)?.containerID ?? '' }
            : { containerCheckpoints: subject.containerCheckpoints.map(({ metadata }) => metadata.name) }),
        },
        now,
      ),
    );
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
      await this.#bound(child, content, Number(artifact.bytes), now);
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
    await this.#bound(podCheckpoint, content, Number(result.totalBytes), now);
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
          ? succeededStatus(status, object, COMPLETE, now)
          : failedStatus(status, object, reason, why, now);
      return withConditionOf(ended, object, now, {
        type: CONDITION.ArtifactAvailable,
        status: 'False',
        reason: REASON.Discarded,
        message: 'The artifact was removed at the end of the migration that it was made for.',
      });
    });
  }

  async #bound(object: Checkpoint, name: string, sizeBytes: number, now: number): Promise<void> {
    await updateCheckpoint(this.client, object, (status, live) =>
      boundStatus(status, live, { name, sizeBytes }, COMPLETE, now),
    );
  }

  async #updateAll(
    { podCheckpoint, containerCheckpoints }: CheckpointSubject,
    change: (status: CheckpointStatus, object: Checkpoint) => CheckpointStatus,
  ): Promise<void> {
    const all: Checkpoint[] = [...(podCheckpoint ? [podCheckpoint] : []), ...containerCheckpoints];
    await Promise.all(all.map((object) => updateCheckpoint(this.client, object, change)));
  }
}

export function ownedBy(kind: string, { name, uid }: ObjectMeta) {
  return { apiVersion: API_VERSION, kind, name, uid: uid!, controller: true, blockOwnerDeletion: false };
}

export function refTo({ metadata }: KubeObject) {
  return { namespace: metadata.namespace!, name: metadata.name, uid: metadata.uid! };
}

function containerOf({ spec }: ContainerCheckpoint, origin: CheckpointOrigin) {
  return origin.containers.find(({ name }) => name === spec.containerName);
}

function imageOf({ image, imageRef }: ContainerArtifact): { image?: string } {
  return image || imageRef ? { image: image || imageRef } : {};
}
