/** The contents that hold the archives of a user's checkpoint. Nothing else makes contents with archives. */
import { isDeepStrictEqual } from 'node:util';
import type {
  ContainerCheckpoint,
  ContainerCheckpointContent,
  PodCheckpoint,
  PodCheckpointContent,
} from '../../common/api/schema.js';
import { LpmError } from '../../common/errors.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';
import {
  ArchiveDescription,
  type ArchiveInfo,
  type ContainerArtifact,
} from '../../proto/gen/lpm/v1/agent.js';
import { isoTime } from '../status/conditions.js';
import { createOrFind } from './api-verbs.js';
import type { Checkpoint } from './kinds.js';
import type { MadeOn } from './made-on.js';
import { CHECKPOINT_UID_ANNOTATION, containerContentName, podContentName } from './names.js';
import { refTo } from './objects.js';
import type { PodTemplate } from './template.js';
import { wayOf, type Way } from './turn.js';
import { updateStatus } from './update-status.js';

export interface Taken {
  checkpoint: Checkpoint;
  /** UID under which the agent keeps the archives. */
  archiveUid: string;
  via: Way;
  /** Absent for an import: what comes from outside makes no pod. */
  podTemplate: PodTemplate | undefined;
  frozenAt: Date | undefined;
  /** Undefined when it is not known. */
  madeOn: MadeOn | undefined;
}

/** The content of one container, made or found; throws LpmError (NameTaken) when another one stands there. */
export async function makeContainerContent(
  client: KubeClient,
  child: ContainerCheckpoint,
  artifact: ContainerArtifact,
  { checkpoint, archiveUid, via, podTemplate, frozenAt, madeOn }: Taken,
): Promise<ContainerCheckpointContent> {
  const archive = archiveOf(artifact);
  const { nodeName = '', podUID = '' } = checkpoint.status ?? {};
  const content = await own(client.containerCheckpointContents, {
    metadata: {
      name: containerContentName(child.metadata.uid!),
      annotations: { [CHECKPOINT_UID_ANNOTATION]: archiveUid },
    },
    spec: {
      containerCheckpointRef: refTo(child),
      deletionPolicy: child.spec.deletionPolicy ?? 'Delete',
      artifactURI: archive.uri,
      nodeName,
      podName: child.spec.podName,
      podUID,
      containerName: child.spec.containerName,
      ...(artifact.image ? { image: artifact.image } : {}),
      ...(artifact.imageRef ? { imageRef: artifact.imageRef } : {}),
      sizeBytes: Number(archive.bytes),
      sha256: archive.sha256.toString('hex'),
      via,
      restorable: archive.restorable,
      ...(archive.gaps.length > 0 ? { gaps: archive.gaps } : {}),
      ...(madeOn ? { madeOn } : {}),
      ...(podTemplate ? { podTemplate } : {}),
      ...(frozenAt ? { checkpointTime: isoTime(frozenAt.getTime()) } : {}),
    },
  });
  if (archive.description) {
    const description = ArchiveDescription.toJSON(archive.description) as Record<string, unknown>;
    await updateStatus(
      client.containerCheckpointContents,
      { name: content.metadata.name, uid: content.metadata.uid! },
      (status) => ({ ...status, description }),
    );
  }
  return content;
}

/** The content of the whole pod, from those of its containers as they stand. */
export async function makePodContent(
  client: KubeClient,
  podCheckpoint: PodCheckpoint,
  children: readonly ContainerCheckpoint[],
): Promise<PodCheckpointContent> {
  const { nodeName = '', podUID = '', podTemplate } = podCheckpoint.status ?? {};
  const parts = await Promise.all(
    children.map((child) =>
      client.containerCheckpointContents.get(containerContentName(child.metadata.uid!)),
    ),
  );
  const times = parts.flatMap(({ spec }) => spec.checkpointTime ?? []).sort();
  return own(client.podCheckpointContents, {
    metadata: {
      name: podContentName(podCheckpoint.metadata.uid!),
      annotations: { [CHECKPOINT_UID_ANNOTATION]: podCheckpoint.metadata.uid! },
    },
    spec: {
      podCheckpointRef: refTo(podCheckpoint),
      deletionPolicy: podCheckpoint.spec.deletionPolicy ?? 'Delete',
      nodeName,
      podName: podCheckpoint.spec.podName,
      podUID,
      containerCheckpointContents: parts.map(({ metadata }) => metadata.name),
      sizeBytes: parts.reduce((sum, { spec }) => sum + (spec.sizeBytes ?? 0), 0),
      via: wayOf(podCheckpoint),
      ...(podTemplate ? { podTemplate: podTemplate as PodTemplate } : {}),
      ...(times[0] ? { checkpointTime: times[0] } : {}),
    },
  });
}

/** The archive of an artifact that was asked for as one; throws LpmError when the agent has made none. */
export function archiveOf({ archive, containerName }: ContainerArtifact): ArchiveInfo {
  if (archive) return archive;
  throw new LpmError(
    'AgentNotInstalled',
    `The agent has checkpointed container ${containerName}, but has kept no archive: it is too old for this controller.`,
    { hint: 'Bring agents and controller to the same version.' },
  );
}

type Content = KubeObject & { spec: Record<string, unknown> };

/** What makes a content the one that it is. */
const ESSENTIAL = [
  'podCheckpointRef',
  'containerCheckpointRef',
  'containerCheckpointContents',
  'artifactURI',
  'sha256',
  'nodeName',
  'podUID',
  'containerName',
];

/** Made, or found as it would be made; somebody may have made another under the name that we use. */
async function own<T extends Content>(
  client: Parameters<typeof createOrFind<T>>[0],
  wanted: Omit<T, 'apiVersion' | 'kind'>,
): Promise<T> {
  const found = await createOrFind(client, wanted);
  if (ESSENTIAL.every((field) => isDeepStrictEqual(found.spec[field], wanted.spec[field]))) return found;
  throw new LpmError(
    'NameTaken',
    `There is a ${client.info.kind} ${found.metadata.name} already, which this controller has not made.`,
    { hint: 'Delete it, and take the checkpoint again.' },
  );
}
