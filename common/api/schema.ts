/**
 * The one source of our API: the custom resources' schemas. The TypeScript types are derived from them here, the CRDs
 * in manifests/crd are generated from them (common/api/crd.ts); a test compares both.
 */
import { Type, type Static, type TSchema } from '@sinclair/typebox';
import {
  conditions,
  DNS_LABEL,
  immutable,
  int64,
  oneOf,
  optional,
  phaseTransitions,
  podName,
  Spec,
  SpecSettable,
  text,
  time,
  type Condition as ConditionSchema,
} from './fields.js';

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

export const PodMigrationSpec = SpecSettable(
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
    allowHostPath: optional(
      Type.Boolean({
        description:
          'Migrate although the pod has hostPath volumes: states that both nodes have the same data at those paths (a network file system that both mount, or files that are the same). Nothing of them is copied or compared; where files that are open differ in size or are missing, the migration is rolled back. Sockets, devices and folders that describe a node (/proc, /sys, /dev, /run, /var/lib/kubelet) are refused all the same.',
      }),
    ),
    force: optional(
      Type.Boolean({
        description:
          'Migrate although a check takes it for too risky. Overridden are: CPU features of the source that the target lacks (a process that does use them dies and starts anew from its image), and a liveness probe that gives up within 10 s but not within 3 s (what takes longer than the probe allows is rolled back). What was overridden stands in the condition Accepted, whose reason is Forced. Nothing else is overridden: it would surely fail, or could leave two copies or none.',
      }),
    ),
    preflightOnly: optional(
      Type.Boolean({
        description:
          'Only look: every check that a migration makes before it freezes anything, answered in status.checks. Nothing is created, frozen or moved; it ends as Succeeded when every check passed, else as Failed. Goes with spec.cancel: true, so that a controller of an older version, which does not know this field, takes it for a migration that was canceled and freezes nothing.',
      }),
    ),
    cancel: optional(
      Type.Boolean({
        description:
          'Set to true to cancel: before the commit the migration is rolled back and the source runs on; after it, it is completed all the same. Cannot be taken back.',
      }),
    ),
    fromCheckpoint: optional(
      Type.Object(
        {
          kind: oneOf(['PodCheckpoint', 'ContainerCheckpoint'], {
            description: 'Kind of the checkpoint object.',
            default: 'PodCheckpoint',
          }),
          name: podName('Name of the checkpoint object, in the namespace of this object.'),
        },
        {
          description:
            'Bring back a saved checkpoint as a new pod, in place of moving a running one. spec.podName is the pod that was checkpointed; whether it still exists does not matter.',
        },
      ),
    ),
    resolution: optional(
      oneOf(['Source', 'Target'], {
        description:
          'Decides a migration that says Stuck because a node cannot be asked: Source thaws the source without the revocation that the target node owes, Target takes the target for running and gives up the source. Two copies run, or none, if the other side is not what this says. What counts is the decision that the condition Resolved shows.',
      }),
    ),
  },
  {
    cancel: {
      rule: '!has(oldSelf.cancel) || !oldSelf.cancel || (has(self.cancel) && self.cancel)',
      message: 'spec.cancel cannot be taken back',
    },
    // The controller takes up the first that is possible and writes it down; one that was not may be set anew.
    resolution: 'always',
  },
  'What is wanted. Immutable but for cancel and resolution, which may be set later.',
  [
    {
      rule: '!has(self.fromCheckpoint) || (!has(self.preflightOnly) && !has(self.allowHostPath) && !has(self.force))',
      message:
        'spec.preflightOnly, spec.allowHostPath and spec.force are for moving a running pod, not for spec.fromCheckpoint',
    },
    {
      rule: '!has(self.preflightOnly) || !self.preflightOnly || (has(self.cancel) && self.cancel)',
      message:
        'spec.preflightOnly goes with spec.cancel: true, so that a controller that does not know the first moves nothing',
    },
  ],
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
    checks: optional(
      Type.Array(
        Type.Object({
          name: text('What was looked at, one CamelCase word.'),
          status: oneOf(['Pass', 'Warn', 'Fail'], {
            description:
              'Pass; Warn: it works, but the process may notice; Fail: a migration would be refused.',
          }),
          reason: optional(text('CamelCase word for why it fails.')),
          message: text('What was found.'),
          hint: optional(text('What to do about it.')),
        }),
        {
          description:
            'With spec.preflightOnly: what was looked at and how it went. What could not be looked at because something else fails is not there.',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
        },
      ),
    ),
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
    podCheckpointName: optional(
      text(
        'Name of the PodCheckpoint that was made for this migration, or of the checkpoint that it brings back.',
      ),
    ),
    podCheckpointUID: optional(
      text('Its UID, which names the checkpoint on the nodes. Recorded before anything is frozen.'),
    ),
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

/** What both kinds of checkpoints say about how they are made and kept. */
const checkpointSpec = {
  via: optional(
    oneOf(['Agent', 'Kubelet'], {
      description:
        'Who makes the checkpoint. Agent: the agent of the node, complete (files of the container, emptyDirs, /dev/shm) and consistent over all containers. Kubelet: the checkpoint API of the kubelet, one container after the other, memory and files of the container only.',
      default: 'Agent',
    }),
  ),
  timeoutSeconds: optional(
    Type.Integer({
      description: 'Seconds after which the checkpoint is given up.',
      format: 'int32',
      minimum: 10,
      maximum: 86400,
      default: 600,
    }),
  ),
  ttlSecondsAfterFinished: optional(
    Type.Integer({
      description:
        'Seconds after its end at which this object is deleted, and with it the archive unless its content says Retain. Absent: never.',
      format: 'int32',
      minimum: 0,
      maximum: 2147483647,
    }),
  ),
  deletionPolicy: optional(
    oneOf(['Delete', 'Retain'], {
      description: 'The deletionPolicy that the contents get.',
      default: 'Delete',
    }),
  ),
  compression: optional(
    oneOf(['None', 'Gzip', 'Zstd'], { description: 'How the archive is compressed.', default: 'None' }),
  ),
  encrypt: optional(
    Type.Boolean({
      description:
        'Encrypt the archive at rest (age) for the recipients that the agents were set up with; fails without any.',
      default: false,
    }),
  ),
  import: optional(
    Type.Object(
      {
        ticketSHA256: Type.String({
          description: 'SHA-256, in hex, of the ticket with which the archives will be uploaded.',
          pattern: '^[0-9a-f]{64}$',
        }),
        podUID: Type.String({
          description: 'UID of the pod that was checkpointed; names the archives.',
          pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
        }),
        archives: Type.Array(
          Type.Object({
            containerName: Type.String({
              description: 'Container.',
              minLength: 1,
              maxLength: 63,
              pattern: DNS_LABEL,
            }),
            sha256: Type.String({
              description: 'SHA-256 of the archive, in hex.',
              pattern: '^[0-9a-f]{64}$',
            }),
            sizeBytes: int64('Size of the archive.'),
          }),
          {
            description: 'The archives that will be uploaded.',
            minItems: 1,
            maxItems: 64,
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['containerName'],
          },
        ),
        podJSON: optional(
          Type.String({
            description:
              'The pod as it was when it was checkpointed, as JSON: for whoever restores it. It comes from outside, so no controller makes anything of it.',
            maxLength: 1048576,
          }),
        ),
      },
      {
        description:
          'Nothing is checkpointed: archives that were exported elsewhere are taken in, through the transfer port of an agent. Such a checkpoint is restored into a pod that whoever restores it creates, never into one that the controller makes from what an archive says.',
      },
    ),
  ),
};

export const PodCheckpointSpec = Spec(
  {
    podName: podName('Name of the running pod to checkpoint, in the namespace of this object.'),
    ...checkpointSpec,
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
  podTemplate: optional(
    Type.Unsafe<Record<string, unknown>>({
      type: 'object',
      description: 'The pod as it was when the checkpoint was begun, until the content holds it.',
      'x-kubernetes-preserve-unknown-fields': true,
    }),
  ),
  progress: optional(
    Type.Object(
      {
        step: text('What is being done: Freeze, Dump, Collect, Archive, Transfer.'),
        bytesDone: optional(int64('Bytes done of this step.')),
        bytesTotal: optional(int64('Bytes of this step in all; absent when unknown.')),
      },
      { description: 'The step that runs at the moment, while there is one.' },
    ),
  ),
  frozenMilliseconds: optional(int64('How long the pod stood still. Absent when that is not known.')),
  transfer: optional(
    Type.Object(
      {
        ticketSHA256: text('The ticket that it is open for.'),
        agentNamespace: text('Namespace of the agent’s pod.'),
        agentPod: text('Pod whose transfer port serves.'),
        port: Type.Integer({ description: 'The port, to be reached by port-forward.', format: 'int32' }),
        expires: time('Until when.'),
      },
      { description: 'Where the archives can be read or written, while an export or import is open.' },
    ),
  ),
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
    ...checkpointSpec,
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

const podTemplate = Type.Unsafe<{
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: Record<string, unknown>;
}>({
  type: 'object',
  description:
    'Labels, annotations and spec of the pod as the API server had them at the checkpoint. A restore makes the new pod from them. Absent for imported checkpoints.',
  'x-kubernetes-preserve-unknown-fields': true,
});

/** Required fields only: a rule on an optional one would not see that it is added or taken away. */
const immutableBut = (mutable: string, fields: string[]) => ({
  'x-kubernetes-validations': [
    {
      rule: fields.map((field) => `self.${field} == oldSelf.${field}`).join(' && '),
      message: `spec is immutable but for ${mutable}`,
    },
  ],
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
    imageRef: optional(text('The image with its digest, as the runtime knew it.')),
    sizeBytes: optional(int64('Size of the artifact.')),
    sha256: optional(
      Type.String({
        description: 'SHA-256 of the artifact’s bytes, in hex. Checked whenever it is used.',
        pattern: '^[0-9a-f]{64}$',
      }),
    ),
    via: optional(oneOf(['Agent', 'Kubelet', 'Import'], { description: 'How it was made.' })),
    restorable: optional(Type.Boolean({ description: 'Whether a pod can be restored from it.' })),
    gaps: optional(
      Type.Array(text('One sentence.'), {
        description: 'What of the container’s state is not in the artifact.',
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
    madeOn: optional(
      Type.Object(
        {
          architecture: text('Architecture as in GOARCH.'),
          cgroupVersion: Type.Integer({ description: 'Version of the cgroups, 1 or 2.', format: 'int32' }),
          runtimeName: text('Container runtime.'),
          ociRuntime: text('OCI runtime that dumped.'),
          criuVersion: text('Version of CRIU.'),
          cpuModel: text('Model of the CPU.'),
          cpuFlags: Type.Array(text('One flag.'), {
            description: 'Features of the CPU that the processes may use since they were started.',
            'x-kubernetes-list-type': 'atomic',
          }),
        },
        {
          description:
            'What the node was able to do: a node that differs in it cannot restore the artifact. Absent when it is not known.',
        },
      ),
    ),
    podTemplate: optional(podTemplate),
    checkpointTime: optional(time('The instant of the checkpoint.')),
  },
  {
    description: 'The artifact of one container. Immutable but for deletionPolicy.',
    ...immutableBut('deletionPolicy', ['artifactURI', 'nodeName', 'podName', 'podUID', 'containerName']),
  },
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
    via: optional(oneOf(['Agent', 'Kubelet', 'Import'], { description: 'How they were made.' })),
    podTemplate: optional(podTemplate),
    checkpointTime: optional(time('The instant of the checkpoint.')),
  },
  {
    description: 'The artifacts of one pod. Immutable but for deletionPolicy.',
    ...immutableBut('deletionPolicy', ['nodeName', 'podName', 'podUID']),
  },
);

export const ContentStatus = Type.Object(
  {
    conditions,
    description: optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        description:
          'What was read from the archive itself: processes, open files, memory, mounts (the message ArchiveDescription of the agents’ protocol as JSON).',
        'x-kubernetes-preserve-unknown-fields': true,
      }),
    ),
  },
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

export type Condition = Static<typeof ConditionSchema>;
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
