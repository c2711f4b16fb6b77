/** The kinds as the API server shows them: names, scope, columns. */
import type { TObject } from '@sinclair/typebox';
import {
  ContainerCheckpointContentSpec,
  ContainerCheckpointSpec,
  ContainerCheckpointStatus,
  ContentStatus,
  PodCheckpointContentSpec,
  PodCheckpointSpec,
  PodCheckpointStatus,
  PodMigrationSpec,
  PodMigrationStatus,
} from './schema.js';

/** Shape of a kind in the API server, for CRDs and clients. */
export interface KindInfo {
  kind: string;
  plural: string;
  singular: string;
  shortNames: string[];
  scope: 'Namespaced' | 'Cluster';
  description: string;
  spec: TObject;
  status: TObject;
  columns: { name: string; type: string; jsonPath: string; description: string; priority?: number }[];
}

const age = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since creation.',
};
const phaseColumn = { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Phase.' };
const wide = 1;

export const KINDS = {
  PodMigration: {
    kind: 'PodMigration',
    plural: 'podmigrations',
    singular: 'podmigration',
    shortNames: ['pmig'],
    scope: 'Namespaced',
    description: 'Moves a running pod to another node with its process state, files and logs.',
    spec: PodMigrationSpec,
    status: PodMigrationStatus,
    columns: [
      { name: 'Pod', type: 'string', jsonPath: '.spec.podName', description: 'Pod that is migrated.' },
      { name: 'From', type: 'string', jsonPath: '.status.sourceNode', description: 'Source node.' },
      { name: 'To', type: 'string', jsonPath: '.status.targetNode', description: 'Target node.' },
      phaseColumn,
      {
        name: 'Downtime-ms',
        type: 'integer',
        jsonPath: '.status.downtimeMilliseconds',
        description: 'Milliseconds during which no copy executed.',
      },
      {
        name: 'Restored',
        type: 'string',
        jsonPath: '.status.restoredPodName',
        description: 'Pod on the target.',
        priority: wide,
      },
      {
        name: 'Message',
        type: 'string',
        jsonPath: '.status.message',
        description: 'Message.',
        priority: wide,
      },
      age,
    ],
  },
  PodCheckpoint: {
    kind: 'PodCheckpoint',
    plural: 'podcheckpoints',
    singular: 'podcheckpoint',
    shortNames: ['pcp'],
    scope: 'Namespaced',
    description: 'Asks for a checkpoint of all containers of a running pod.',
    spec: PodCheckpointSpec,
    status: PodCheckpointStatus,
    columns: [
      { name: 'Pod', type: 'string', jsonPath: '.spec.podName', description: 'Pod.' },
      phaseColumn,
      {
        name: 'Content',
        type: 'string',
        jsonPath: '.status.boundContentName',
        description: 'Bound content.',
      },
      {
        name: 'Node',
        type: 'string',
        jsonPath: '.status.nodeName',
        description: 'Node that the pod ran on.',
        priority: wide,
      },
      { name: 'Size', type: 'integer', jsonPath: '.status.sizeBytes', description: 'Bytes.', priority: wide },
      {
        name: 'Message',
        type: 'string',
        jsonPath: '.status.message',
        description: 'Message.',
        priority: wide,
      },
      age,
    ],
  },
  ContainerCheckpoint: {
    kind: 'ContainerCheckpoint',
    plural: 'containercheckpoints',
    singular: 'containercheckpoint',
    shortNames: ['ccp'],
    scope: 'Namespaced',
    description: 'Asks for a checkpoint of one container of a running pod.',
    spec: ContainerCheckpointSpec,
    status: ContainerCheckpointStatus,
    columns: [
      { name: 'Pod', type: 'string', jsonPath: '.spec.podName', description: 'Pod.' },
      { name: 'Container', type: 'string', jsonPath: '.spec.containerName', description: 'Container.' },
      phaseColumn,
      {
        name: 'Content',
        type: 'string',
        jsonPath: '.status.boundContentName',
        description: 'Bound content.',
      },
      {
        name: 'Node',
        type: 'string',
        jsonPath: '.status.nodeName',
        description: 'Node that the pod ran on.',
        priority: wide,
      },
      { name: 'Size', type: 'integer', jsonPath: '.status.sizeBytes', description: 'Bytes.', priority: wide },
      {
        name: 'Message',
        type: 'string',
        jsonPath: '.status.message',
        description: 'Message.',
        priority: wide,
      },
      age,
    ],
  },
  PodCheckpointContent: {
    kind: 'PodCheckpointContent',
    plural: 'podcheckpointcontents',
    singular: 'podcheckpointcontent',
    shortNames: ['pcpc'],
    scope: 'Cluster',
    description: 'The artifacts of one checkpointed pod, bound to a PodCheckpoint.',
    spec: PodCheckpointContentSpec,
    status: ContentStatus,
    columns: [
      {
        name: 'PodCheckpoint',
        type: 'string',
        jsonPath: '.spec.podCheckpointRef.name',
        description: 'PodCheckpoint.',
      },
      { name: 'Node', type: 'string', jsonPath: '.spec.nodeName', description: 'Node.' },
      { name: 'Size', type: 'integer', jsonPath: '.spec.sizeBytes', description: 'Bytes.' },
      { name: 'Policy', type: 'string', jsonPath: '.spec.deletionPolicy', description: 'Deletion policy.' },
      age,
    ],
  },
  ContainerCheckpointContent: {
    kind: 'ContainerCheckpointContent',
    plural: 'containercheckpointcontents',
    singular: 'containercheckpointcontent',
    shortNames: ['ccpc'],
    scope: 'Cluster',
    description: 'The artifact of one checkpointed container, bound to a ContainerCheckpoint.',
    spec: ContainerCheckpointContentSpec,
    status: ContentStatus,
    columns: [
      {
        name: 'ContainerCheckpoint',
        type: 'string',
        jsonPath: '.spec.containerCheckpointRef.name',
        description: 'ContainerCheckpoint.',
      },
      { name: 'Node', type: 'string', jsonPath: '.spec.nodeName', description: 'Node.' },
      { name: 'URI', type: 'string', jsonPath: '.spec.artifactURI', description: 'Artifact.' },
      { name: 'Size', type: 'integer', jsonPath: '.spec.sizeBytes', description: 'Bytes.' },
      {
        name: 'Policy',
        type: 'string',
        jsonPath: '.spec.deletionPolicy',
        description: 'Deletion policy.',
        priority: wide,
      },
      age,
    ],
  },
} as const satisfies Record<string, KindInfo>;

export type KindName = keyof typeof KINDS;
