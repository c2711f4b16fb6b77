/** Builders for tests: a checkpoint of pod counter and its contents, bound both ways, to be changed where a test says so. */
import type {
  ContainerCheckpoint,
  ContainerCheckpointContent,
  PodCheckpoint,
  PodCheckpointContent,
} from '../../common/api/schema.js';
import { aPod, nodeInfo } from '../migration/build.testing.js';
import type { BindingFacts } from './bound.js';
import { madeOn } from './made-on.js';
import { containerContentName, podContentName } from './names.js';

export const CHECKPOINT_UID = '33333333-3333-4333-8333-333333333333';
export const CHILD_UID = '44444444-4444-4444-8444-444444444444';
const POD_UID = aPod().metadata.uid!;
const api = { apiVersion: 'lpm.my.domain/v1' } as const;
const complete = {
  phase: 'Succeeded' as const,
  nodeName: 'k8s-worker',
  podUID: POD_UID,
};

export interface Saved {
  checkpoint: PodCheckpoint;
  child: ContainerCheckpoint;
  podContent: PodCheckpointContent;
  content: ContainerCheckpointContent;
}

/** PodCheckpoint nightly of pod counter on k8s-worker, saved in the repository. */
export function aSaved(change: (saved: Saved) => void = () => {}): Saved {
  const { metadata, spec } = aPod();
  const podTemplate = {
    metadata: { labels: metadata.labels! },
    spec: spec as unknown as Record<string, unknown>,
  };
  const saved: Saved = {
    checkpoint: {
      ...api,
      kind: 'PodCheckpoint',
      metadata: { name: 'nightly', namespace: 'default', uid: CHECKPOINT_UID },
      spec: { podName: 'counter' },
      status: {
        ...complete,
        boundContentName: podContentName(CHECKPOINT_UID),
        containerCheckpoints: ['nightly-counter'],
      },
    },
    child: {
      ...api,
      kind: 'ContainerCheckpoint',
      metadata: {
        name: 'nightly-counter',
        namespace: 'default',
        uid: CHILD_UID,
        ownerReferences: [{ ...api, kind: 'PodCheckpoint', name: 'nightly', uid: CHECKPOINT_UID }],
      },
      spec: { podName: 'counter', containerName: 'counter' },
      status: { ...complete, boundContentName: containerContentName(CHILD_UID) },
    },
    podContent: {
      ...api,
      kind: 'PodCheckpointContent',
      metadata: { name: podContentName(CHECKPOINT_UID) },
      spec: {
        podCheckpointRef: { namespace: 'default', name: 'nightly', uid: CHECKPOINT_UID },
        deletionPolicy: 'Delete',
        nodeName: 'k8s-worker',
        podName: 'counter',
        podUID: POD_UID,
        containerCheckpointContents: [containerContentName(CHILD_UID)],
        podTemplate,
      },
    },
    content: {
      ...api,
      kind: 'ContainerCheckpointContent',
      metadata: { name: containerContentName(CHILD_UID) },
      spec: {
        containerCheckpointRef: { namespace: 'default', name: 'nightly-counter', uid: CHILD_UID },
        deletionPolicy: 'Delete',
        artifactURI: `shared://${POD_UID}-counter-2030-01-01T00:00:00Z.tar`,
        nodeName: 'k8s-worker',
        podName: 'counter',
        podUID: POD_UID,
        containerName: 'counter',
        image: 'busybox:1.35',
        imageRef: 'sha256:1',
        sizeBytes: 4096,
        sha256: 'ab'.repeat(32),
        via: 'Agent',
        restorable: true,
        podTemplate,
        madeOn: madeOn(nodeInfo('k8s-worker')),
      },
    },
  };
  change(saved);
  return saved;
}

export function bindingFactsOf({ checkpoint, podContent, content, child }: Saved): BindingFacts {
  return { checkpoint, podContent, parts: [{ content, child }] };
}
