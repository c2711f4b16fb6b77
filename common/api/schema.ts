/**
 * The one source of our API: the custom resources' schemas. The TypeScript types are derived from them here, the CRDs
 * in manifests/crd are generated from them (common/api/crd.ts); a test compares both.
 *
 * Only what a structural schema of apiextensions.k8s.io/v1 allows may be used.
 */
import { Type, type Static, type TObject, type TSchema } from '@sinclair/typebox';

const DNS_SUBDOMAIN = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';
const DNS_LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';

/** A string enum: TypeBox would write `anyOf` of consts, which a structural schema does not allow. */
const oneOf = <const T extends readonly string[]>(values: T, options: Record<string, unknown>) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options });

const podName = (description: string) =>
  Type.String({ description, minLength: 1, maxLength: 253, pattern: DNS_SUBDOMAIN });
const time = (description: string) => Type.String({ description, format: 'date-time' });
const int64 = (description: string, options: Record<string, unknown> = {}) =>
  Type.Integer({ description, format: 'int64', minimum: 0, ...options });
const text = (description: string) => Type.String({ description });
const optional = Type.Optional;

const Condition = Type.Object(
  {
    type: Type.String({
      description: 'Type of the condition in CamelCase.',
      maxLength: 316,
      pattern:
        '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$',
    }),
    status: oneOf(['True', 'False', 'Unknown'], { description: 'Status of the condition.' }),
    reason: Type.String({
      description: 'Reason for the last transition: one CamelCase word for programs.',
      minLength: 1,
      maxLength: 1024,
      pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
    }),
    message: Type.String({ description: 'A sentence for people.', maxLength: 32768 }),
    lastTransitionTime: time('When the status last changed.'),
    observedGeneration: optional(int64('metadata.generation that the condition was computed from.')),
  },
  { description: 'One aspect of the state, as in metav1.Condition.' },
);
const conditions = optional(
  Type.Array(Condition, {
    description: 'The state for programs: one entry for each type.',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  }),
);

const phaseTransitions = optional(
  Type.Array(
    Type.Object({
      phase: text('The phase that was entered.'),
      transitionTime: time('When it was entered.'),
    }),
    { description: 'When each phase was entered, in order.', 'x-kubernetes-list-type': 'atomic' },
  ),
);

export const MIGRATION_PHASES = [
  'Pending',
  'CheckpointInProgress',
  'CheckpointCompleted',
  'MigrationInProgress',
  'RestoreInProgress',
  'Succeeded',
  'Failed',
] as const;
export const CHECKPOINT_PHASES = ['Pending', 'Running', 'Succeeded', 'Failed'] as const;

const immutable = (field: string) => ({
  'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: `${field} is immutable` }],
});

// An optional field can also be added or taken away, which a rule on the field itself does not see.
const immutableSpec = {
  'x-kubernetes-validations': [
    { rule: 'self == oldSelf', message: 'spec is immutable: make a new object instead' },
  ],
};

const Spec = <T extends Parameters<typeof Type.Object>[0]>(properties: T, description: string) =>
  Type.Object(properties, { description, ...immutableSpec });

export const PodMigrationSpec = Spec(
  {
    podName: podName('Name of the running pod to migrate, in the namespace of this object.'),
    targetNode: optional(
      podName(
        'Node to migrate to. Without it the scheduler chooses any node but the source that carries the runtime handler.',
      ),
    ),
    restoredPodName: optional(
      podName(
        'Name of the pod on the target. Default: the name of the first pod in the chain with -restored, -restored-2, … appended.',
      ),
    ),
    tcp: optional(
      oneOf(['Close', 'Refuse'], {
        description:
          'Established TCP connections: Close lets the process find them reset after the migration, Refuse fails the migration before anything is frozen if there are any.',
        default: 'Close',
      }),
    ),
    timeoutSeconds: optional(
      Type.Integer({
        description: 'Seconds after which a migration that is not committed is rolled back.',
        format: 'int32',
        minimum: 10,
        maximum: 86400,
        default: 600,
      }),
    ),
  },
  'What is wanted. Immutable.',
);

export const PodMigrationStatus = Type.Object(
  {
    phase: optional(oneOf(MIGRATION_PHASES, { description: 'The state for people.' })),
    message: optional(text('What is going on or went wrong, in one sentence.')),
    reason: optional(text('CamelCase word for the outcome of a failed migration.')),
    hint: optional(text('What to do next after a failure.')),
    observedGeneration: optional(int64('metadata.generation that was acted upon.')),
    conditions,
    phaseTransitions,
    sourceNode: optional(text('Node that the pod ran on.')),
    targetNode: optional(text('Node that the pod runs on afterwards.')),
    sourcePodUID: optional(text('UID of the source pod, fixed when the migration was accepted.')),
    sourceContainers: optional(
      Type.Array(
        Type.Object({ name: text('Container name.'), containerID: text('Its ID, without scheme.') }),
        {
          description: 'The containers of the source as they were when the migration was accepted.',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
        },
      ),
    ),
    restoredPodName: optional(text('Name of the pod on the target.')),
    restoredPodUID: optional(text('UID of the pod on the target.')),
    podCheckpointName: optional(text('Name of the PodCheckpoint that was made for this migration.')),
    progress: optional(
      Type.Object(
        {
          step: text('What is being done: Freeze, Dump, Collect, Transfer, Stage, Restore.'),
          bytesDone: optional(int64('Bytes done of this step.')),
          bytesTotal: optional(int64('Bytes of this step in all; absent when unknown.')),
          since: optional(time('When the step began.')),
        },
        { description: 'The step that runs at the moment, while there is one.' },
      ),
    ),
    frozenAt: optional(time('When the source was frozen, by the source node’s clock.')),
    steps: optional(
      Type.Array(
        Type.Object({
          name: text('Name of the step.'),
          milliseconds: int64('How long it took.'),
        }),
        { description: 'How long each step took, in order.', 'x-kubernetes-list-type': 'atomic' },
      ),
    ),
    bytesTransferred: optional(int64('Bytes of checkpoint data that were moved to the target.')),
    downtimeMilliseconds: optional(
      int64(
        'From just before the first process of the source was frozen until the restored processes executed. Measured by the two agents on their own clocks; the clocks’ offsets to the controller’s are estimated from request round trips (as SNTP does) and taken out.',
      ),
    ),
    downtimeErrorMilliseconds: optional(
      int64(
        'Bound of the error of downtimeMilliseconds that comes from the clocks: half of both round trips.',
      ),
    ),
    totalMilliseconds: optional(int64('From acceptance to the end.')),
    startTime: optional(time('When the migration was accepted.')),
    completionTime: optional(time('When it ended.')),
    specChanges: optional(
      Type.Array(text('One difference.'), {
        description: 'In what the restored pod’s spec differs from the source’s, and why.',
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
    warnings: optional(
      Type.Array(text('One warning.'), {
        description: 'What the process may notice.',
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
  },
  { description: 'What was observed. Written by the controller only.' },
);

export const PodCheckpointSpec = Spec(
  {
    podName: podName('Name of the running pod to checkpoint, in the namespace of this object.'),
  },
  'What is wanted. Immutable.',
);

const checkpointStatus = {
  phase: optional(oneOf(CHECKPOINT_PHASES, { description: 'The state for people.' })),
  message: optional(text('What is going on or went wrong, in one sentence.')),
  reason: optional(text('CamelCase word for the outcome of a failed checkpoint.')),
  observedGeneration: optional(int64('metadata.generation that was acted upon.')),
  conditions,
  phaseTransitions,
  nodeName: optional(text('Node that the pod ran on.')),
  podUID: optional(text('UID of the pod.')),
  boundContentName: optional(text('Name of the content object that holds the artifact.')),
  sizeBytes: optional(int64('Size of the artifact.')),
  startTime: optional(time('When the checkpoint was begun.')),
  completionTime: optional(time('When it ended.')),
};

export const PodCheckpointStatus = Type.Object(
  {
    ...checkpointStatus,
    containerCheckpoints: optional(
      Type.Array(text('Name of a ContainerCheckpoint.'), {
        description: 'The ContainerCheckpoints of the pod’s containers.',
        'x-kubernetes-list-type': 'set',
      }),
    ),
  },
  { description: 'What was observed. Written by the controller only.' },
);

export const ContainerCheckpointSpec = Spec(
  {
    podName: podName('Name of the running pod, in the namespace of this object.'),
    containerName: Type.String({
      description: 'Name of the container in that pod.',
      minLength: 1,
      maxLength: 63,
      pattern: DNS_LABEL,
    }),
  },
  'What is wanted. Immutable.',
);

export const ContainerCheckpointStatus = Type.Object(
  { ...checkpointStatus, containerID: optional(text('ID of the container, without scheme.')) },
  { description: 'What was observed. Written by the controller only.' },
);

const reference = (kind: string) =>
  Type.Object(
    {
      namespace: text('Namespace of the object.'),
      name: text('Name of the object.'),
      uid: text('UID of the object.'),
    },
    { description: `The ${kind} that this content belongs to.`, ...immutable('the reference') },
  );
const deletionPolicy = oneOf(['Delete', 'Retain'], {
  description: 'What becomes of the artifact when its checkpoint object is deleted.',
  default: 'Delete',
});

export const ContainerCheckpointContentSpec = Type.Object(
  {
    containerCheckpointRef: reference('ContainerCheckpoint'),
    deletionPolicy,
    artifactURI: Type.String({
      description:
        'Where the artifact lies: shared://<file> in the checkpoint repository, file://<path> on the node nodeName.',
      pattern: '^(shared|file)://.+$',
    }),
    nodeName: text('Node on which the artifact was made.'),
    podName: text('Pod that was checkpointed.'),
    podUID: text('Its UID.'),
    containerName: text('Container that was checkpointed.'),
    image: optional(text('Image of the container.')),
    sizeBytes: optional(int64('Size of the artifact.')),
    checkpointTime: optional(time('The instant of the checkpoint.')),
  },
  { description: 'The artifact of one container. Immutable but for deletionPolicy.' },
);

export const PodCheckpointContentSpec = Type.Object(
  {
    podCheckpointRef: reference('PodCheckpoint'),
    deletionPolicy,
    nodeName: text('Node on which the pod ran.'),
    podName: text('Pod that was checkpointed.'),
    podUID: text('Its UID.'),
    containerCheckpointContents: Type.Array(text('Name of a ContainerCheckpointContent.'), {
      description: 'The contents of the pod’s containers.',
      'x-kubernetes-list-type': 'set',
    }),
    sizeBytes: optional(int64('Size of all artifacts.')),
    checkpointTime: optional(time('The instant of the checkpoint.')),
  },
  { description: 'The artifacts of one pod. Immutable but for deletionPolicy.' },
);

export const ContentStatus = Type.Object(
  { conditions },
  { description: 'What was observed. Written by the controller only.' },
);

/** metadata as far as our programs read and write it. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: {
    apiVersion: string;
    kind: string;
    name: string;
    uid: string;
    controller?: boolean;
    blockOwnerDeletion?: boolean;
  }[];
}

interface Resource<Kind extends string, Spec extends TSchema, Status extends TSchema> {
  apiVersion: string;
  kind: Kind;
  metadata: ObjectMeta;
  spec: Static<Spec>;
  status?: Static<Status>;
}

export type Condition = Static<typeof Condition>;
export type MigrationPhase = (typeof MIGRATION_PHASES)[number];
export type CheckpointPhase = (typeof CHECKPOINT_PHASES)[number];
export type PodMigration = Resource<'PodMigration', typeof PodMigrationSpec, typeof PodMigrationStatus>;
export type PodCheckpoint = Resource<'PodCheckpoint', typeof PodCheckpointSpec, typeof PodCheckpointStatus>;
export type ContainerCheckpoint = Resource<
  'ContainerCheckpoint',
  typeof ContainerCheckpointSpec,
  typeof ContainerCheckpointStatus
>;
export type PodCheckpointContent = Resource<
  'PodCheckpointContent',
  typeof PodCheckpointContentSpec,
  typeof ContentStatus
>;
export type ContainerCheckpointContent = Resource<
  'ContainerCheckpointContent',
  typeof ContainerCheckpointContentSpec,
  typeof ContentStatus
>;

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
      age,
    ],
  },
} as const satisfies Record<string, KindInfo>;

export type KindName = keyof typeof KINDS;
