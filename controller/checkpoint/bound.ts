/**
 * Whether a checkpoint and its contents belong together. Both must say so: a content alone, made by hand with somebody
 * else's archive in it, is bound by no checkpoint, because only the controller writes a checkpoint's status; and a
 * checkpoint reads nothing of a content that was made for another one. Pure, but for readBound().
 */
import { KUBELET_CHECKPOINTS } from '../../common/api/names.js';
import type {
  ContainerCheckpoint,
  ContainerCheckpointContent,
  PodCheckpoint,
  PodCheckpointContent,
} from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import { refusal, type Refusal } from '../migration/facts.js';
import { isOwnedBy } from './kinds.js';
import { containerContentName, podContentName } from './names.js';

export interface CheckpointName {
  kind: 'PodCheckpoint' | 'ContainerCheckpoint';
  namespace: string;
  name: string;
}

/** What stands on the API server under the names that a checkpoint and its contents give. */
export interface BindingFacts {
  checkpoint: PodCheckpoint | ContainerCheckpoint | undefined;
  /** The content that a PodCheckpoint names. */
  podContent?: PodCheckpointContent;
  /** Each content of a container, with the ContainerCheckpoint that it names. */
  parts: { content: ContainerCheckpointContent; child: ContainerCheckpoint | undefined }[];
}

/** A checkpoint that has succeeded, with the contents that are its own. */
export interface BoundCheckpoint extends CheckpointName {
  uid: string;
  /** The pod that was checkpointed, and where. */
  podName: string;
  podUID: string;
  nodeName: string;
  containers: ContainerCheckpointContent[];
  /** Absent for imported checkpoints. */
  podTemplate?: NonNullable<ContainerCheckpointContent['spec']['podTemplate']>;
}

export type Binding =
  { bound: BoundCheckpoint; refusal?: undefined } | { refusal: Refusal; bound?: undefined };

/** Reads a checkpoint and what it is bound to from the API server, and judges it. */
export async function readBound(client: KubeClient, wanted: CheckpointName): Promise<Binding> {
  return binding(wanted, await bindingFacts(client, wanted));
}

async function bindingFacts(
  client: KubeClient,
  { kind, namespace, name }: CheckpointName,
): Promise<BindingFacts> {
  if (kind === 'ContainerCheckpoint') {
    const checkpoint = await client.containerCheckpoints.find(name, namespace);
    const bound = checkpoint?.status?.boundContentName;
    const content = bound ? await client.containerCheckpointContents.find(bound) : undefined;
    return { checkpoint, parts: content ? [{ content, child: checkpoint }] : [] };
  }
  const checkpoint = await client.podCheckpoints.find(name, namespace);
  const bound = checkpoint?.status?.boundContentName;
  const podContent = bound ? await client.podCheckpointContents.find(bound) : undefined;
  const parts = await Promise.all(
    (podContent?.spec.containerCheckpointContents ?? []).map(async (each) => {
      const content = await client.containerCheckpointContents.find(each);
      if (!content) return [];
      const child = await client.containerCheckpoints.find(
        content.spec.containerCheckpointRef.name,
        namespace,
      );
      return [{ content, child }];
    }),
  );
  return { checkpoint, ...(podContent ? { podContent } : {}), parts: parts.flat() };
}

/** The contents that are a checkpoint's own, or why they cannot be used. */
export function binding(wanted: CheckpointName, facts: BindingFacts): Binding {
  const { kind, namespace, name } = wanted;
  const { checkpoint, podContent, parts } = facts;
  const list = `Look at it: kubectl describe ${kind.toLowerCase()} ${name} -n ${namespace}`;
  if (!checkpoint) {
    return no(
      'CheckpointNotFound',
      `There is no ${kind} ${name} in namespace ${namespace}.`,
      `Look for it: kubectl get podcheckpoints,containercheckpoints -n ${namespace}`,
    );
  }
  const { status } = checkpoint;
  const uid = checkpoint.metadata.uid!;
  if (checkpoint.metadata.deletionTimestamp)
    return no('CheckpointNotFound', `${kind} ${name} is being deleted.`);
  if (status?.phase === 'Failed') {
    return no(
      'CheckpointNotReady',
      `${kind} ${name} has failed: ${status.message ?? 'no reason given'}`,
      list,
    );
  }
  if (status?.phase !== 'Succeeded') {
    return no(
      'CheckpointNotReady',
      `${kind} ${name} is ${status?.phase ?? 'Pending'}, not Succeeded.`,
      `Wait for it: kubectl wait -n ${namespace} --for=condition=Complete ${kind.toLowerCase()}/${name}`,
    );
  }
  const gone = status.conditions?.find(({ type }) => type === 'ArtifactAvailable');
  if (gone?.status === 'False') {
    return no('CheckpointNotFound', `What ${kind} ${name} has saved is gone: ${gone.message}`);
  }
  const { boundContentName: bound } = status;
  if (!bound || (kind === 'PodCheckpoint' ? !podContent : parts.length === 0)) {
    return no(
      'CheckpointNotFound',
      `The content ${bound ?? ''} of ${kind} ${name} is gone.`.replace('  ', ' '),
    );
  }
  const mismatch = (content: string) =>
    no(
      'CheckpointNotBound',
      `Content ${content} and ${kind} ${name} do not belong to each other: it was made for another checkpoint.`,
      'Contents are made by the controller only; one that was made or changed by hand is not used.',
    );
  const own = { namespace, name, uid };
  if (podContent) {
    const { podCheckpointRef, containerCheckpointContents, podUID } = podContent.spec;
    const content = podContent.metadata.name;
    if (content !== podContentName(uid) || !same(podCheckpointRef, own) || podUID !== status.podUID)
      return mismatch(content);
    if (parts.length < containerCheckpointContents.length || parts.length === 0) {
      const lost = containerCheckpointContents.filter(
        (each) => !parts.some((part) => part.content.metadata.name === each),
      );
      return no('CheckpointNotFound', `The content ${lost.join(', ')} of ${kind} ${name} is gone.`);
    }
  }
  for (const { content, child } of parts) {
    const isChild = kind === 'ContainerCheckpoint' ? child === checkpoint : child && isOwnedBy(child, uid);
    if (!child || !isChild || !belongs(content, child, status.podUID)) return mismatch(content.metadata.name);
  }
  const [{ content: first }] = parts as [BindingFacts['parts'][number]];
  const podTemplate = podContent?.spec.podTemplate ?? first.spec.podTemplate;
  return {
    bound: {
      ...wanted,
      uid,
      podName: first.spec.podName,
      podUID: first.spec.podUID,
      nodeName: first.spec.nodeName,
      containers: parts.map(({ content }) => content),
      ...(podTemplate ? { podTemplate } : {}),
    },
  };
}

/** A content, the checkpoint that it names, and an archive whose name is that of this pod and container. */
function belongs(
  { metadata, spec }: ContainerCheckpointContent,
  child: ContainerCheckpoint,
  podUID: string | undefined,
): boolean {
  const { namespace = '', name, uid = '' } = child.metadata;
  return (
    metadata.name === containerContentName(uid) &&
    child.status?.boundContentName === metadata.name &&
    same(spec.containerCheckpointRef, { namespace, name, uid }) &&
    spec.podUID === podUID &&
    spec.podName === child.spec.podName &&
    spec.containerName === child.spec.containerName &&
    isNamedAfter(spec, namespace)
  );
}

/** Archives are named after what they hold (agent/ARCHIVE.md), so that none can be taken for another pod's. */
function isNamedAfter(
  { artifactURI, podName, podUID, containerName }: ContainerCheckpointContent['spec'],
  namespace: string,
): boolean {
  const [prefix, file] = artifactURI.startsWith('shared://')
    ? [`${podUID}-${containerName}-`, artifactURI.slice('shared://'.length)]
    : [
        `checkpoint-${podName}_${namespace}-${containerName}-`,
        artifactURI.replace(`file://${KUBELET_CHECKPOINTS}/`, ''),
      ];
  return file.startsWith(prefix) && !file.includes('/');
}

function same(
  a: { namespace: string; name: string; uid: string },
  b: { namespace: string; name: string; uid: string },
): boolean {
  return a.namespace === b.namespace && a.name === b.name && a.uid === b.uid;
}

function no(...args: Parameters<typeof refusal>): Binding {
  return { refusal: refusal(...args) };
}
