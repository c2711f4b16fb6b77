/** ControllerRevisions: the templates that a StatefulSet or DaemonSet had (k8s.io/kubernetes/pkg/controller/history). */
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeObject } from '../../../common/kube/types.js';
import { at, sameJson } from '../apiserver/kube-object.js';
import { controlledBy } from './caches.js';
import { controllerReference } from './claim.js';
import { templateHash } from './hash.js';
import type { Shell } from './shell.js';
import type { ControllerRevision } from './types.js';

export interface RevisionStyle {
  kind: 'StatefulSet' | 'DaemonSet';
  /** Label that carries the hash; the two kinds never agreed on one. */
  hashLabel: string;
  annotations?: Record<string, string>;
}

/** The revisions of an owner, oldest first. */
export function revisionsOf(shell: Shell, owner: KubeObject): ControllerRevision[] {
  return controlledBy(shell.caches.revisions, owner).sort((a, b) => a.revision - b.revision);
}

/** The owner's template as the newest revision: found, moved to the top again, or made. */
export async function updateRevision(
  shell: Shell,
  owner: KubeObject,
  template: unknown,
  style: RevisionStyle,
): Promise<ControllerRevision> {
  const revisions = revisionsOf(shell, owner);
  const data = { spec: { template: { ...(template as object), $patch: 'replace' } } };
  const newest = revisions[revisions.length - 1];
  const same = revisions.find((revision) => sameJson(revision.data, data));
  const next = (newest?.revision ?? 0) + 1;
  if (same && same === newest) return same;
  if (same) return shell.clients.revisions.replace({ ...same, revision: next });
  const hash = templateHash(template);
  const labels = at(template, 'metadata', 'labels') as Record<string, string> | undefined;
  const { name, namespace } = owner.metadata;
  const made = {
    metadata: {
      name: `${name}-${hash}`,
      labels: { ...labels, [style.hashLabel]: hash },
      ...(style.annotations ? { annotations: style.annotations } : {}),
      ownerReferences: [controllerReference(owner, 'apps/v1', style.kind)],
    },
    data,
    revision: next,
  };
  try {
    return await shell.clients.revisions.create(made as never, namespace);
  } catch (error) {
    // Made a moment ago; the copy does not show it yet.
    if (error instanceof ApiError && error.isAlreadyExists) {
      return shell.clients.revisions.get(made.metadata.name, namespace);
    }
    throw error;
  }
}

/** Deletes the oldest revisions beyond the limit that nobody uses. */
export async function trimRevisions(
  shell: Shell,
  owner: KubeObject,
  inUse: ReadonlySet<string>,
  limit: number,
): Promise<void> {
  const idle = revisionsOf(shell, owner).filter(({ metadata }) => !inUse.has(metadata.name));
  for (const { metadata } of idle.slice(0, Math.max(0, idle.length - limit))) {
    await shell.clients.revisions.delete(metadata.name, metadata.namespace, { uid: metadata.uid! });
  }
}
