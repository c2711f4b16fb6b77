/**
 * Contents whose checkpoint object is gone: with deletionPolicy Delete the artifact is removed from its node, then the
 * content. The content stays until that is done, so nothing is forgotten on a node.
 */
import type { ContainerCheckpointContent, PodCheckpointContent } from '../../common/api/schema.js';
import { ApiError } from '../../common/kube/api-error.js';
import { isFinal } from '../migration/decide.js';
import type { Parts } from '../parts.js';
import type { Requeue } from '../queue.js';
import { CHECKPOINT_UID_ANNOTATION } from './objects.js';

export type ContentKind = 'PodCheckpointContent' | 'ContainerCheckpointContent';
type Content = PodCheckpointContent | ContainerCheckpointContent;

/** An artifact that a migration still needs is looked at again after so long. */
const IN_USE_MS = 2000;

export class ContentReconciler {
  constructor(
    private readonly parts: Parts,
    private readonly kind: ContentKind,
  ) {}

  async reconcile(name: string): Promise<Requeue> {
    const { caches, client } = this.parts;
    const content: Content | undefined =
      this.kind === 'PodCheckpointContent'
        ? caches.podContents.get(name)
        : caches.containerContents.get(name);
    if (!content || content.spec.deletionPolicy === 'Retain') return {};
    const { namespace, name: owner, uid } = refOf(content);
    const found = await (this.kind === 'PodCheckpointContent'
      ? client.podCheckpoints.find(owner, namespace)
      : client.containerCheckpoints.find(owner, namespace));
    if (found?.metadata.uid === uid) return {};
    if (this.#inUse(content)) return { afterMs: IN_USE_MS };

    const checkpointUid = content.metadata.annotations?.[CHECKPOINT_UID_ANNOTATION];
    // The artifact of a container that was checkpointed with its pod goes with the pod's content.
    if (checkpointUid === uid) {
      const { nodeName } = content.spec;
      await this.parts.agents.agent(nodeName, caches.nodes.get(nodeName)).discard({ checkpointUid });
    }
    try {
      if (this.kind === 'PodCheckpointContent') await client.podCheckpointContents.delete(name);
      else await client.containerCheckpointContents.delete(name);
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isNotFound) throw error;
    }
    this.parts.log.info(`Content ${name} is deleted: its checkpoint ${namespace}/${owner} is gone.`, {
      content: name,
      node: content.spec.nodeName,
    });
    return {};
  }

  /** A migration may still be reading the artifact although somebody has deleted its checkpoint object. */
  #inUse(content: Content): boolean {
    return this.parts.caches.migrations
      .list()
      .some((migration) => !isFinal(migration) && migration.status?.sourcePodUID === content.spec.podUID);
  }
}

export function refOf(content: Content): { namespace: string; name: string; uid: string } {
  return 'podCheckpointRef' in content.spec
    ? content.spec.podCheckpointRef
    : content.spec.containerCheckpointRef;
}
