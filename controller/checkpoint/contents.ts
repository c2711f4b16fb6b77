/**
 * Contents whose checkpoint object is gone: with deletionPolicy Delete the archive (or the artifact of a migration) is
 * removed, then the content. The content stays until that is done, so nothing is forgotten on a node.
 */
import { API_VERSION } from '../../common/api/names.js';
import type { PodCheckpointContent } from '../../common/api/schema.js';
import { LpmError } from '../../common/errors.js';
import { toFailure } from '../agents/failure.js';
import { isFinal } from '../migration/decide.js';
import type { Parts } from '../parts.js';
import type { Requeue } from '../queue.js';
import { withCondition } from '../status/conditions.js';
import { CONDITION } from '../status/reasons.js';
import { remove } from './api-verbs.js';
import { fateOf, isPodContent, isSetOf, refOf, type Content, type ContentFacts } from './content-fate.js';
import { restoring } from './in-use.js';
import { CHECKPOINT_UID_ANNOTATION } from './names.js';
import { removeArchive } from './remove-archive.js';
import { updateStatus } from './update-status.js';

export type ContentKind = 'PodCheckpointContent' | 'ContainerCheckpointContent';

/** What something else still needs is looked at again after so long. */
const IN_USE_MS = 2000;
/** What an agent refuses to remove is asked for again after so long. */
const REFUSED_MS = 60_000;

export class ContentReconciler {
  constructor(
    private readonly parts: Parts,
    private readonly kind: ContentKind,
  ) {}

  async reconcile(name: string): Promise<Requeue> {
    const { caches, log } = this.parts;
    const content: Content | undefined =
      this.kind === 'PodCheckpointContent'
        ? caches.podContents.get(name)
        : caches.containerContents.get(name);
    if (!content || content.metadata.deletionTimestamp) return {};
    const fate = fateOf(content, await this.#facts(content));
    switch (fate.do) {
      case 'keep':
        return {};
      case 'ignore':
        log.debug(`Content ${name} is left alone: ${fate.why}.`, { content: name });
        return {};
      case 'wait':
        return { afterMs: IN_USE_MS };
      case 'remove':
        return this.#remove(content, fate.files, fate.checkpointUid);
      default:
        return fate satisfies never;
    }
  }

  async #remove(
    content: Content,
    files: 'artifacts' | 'archive' | 'none',
    checkpointUid: string,
  ): Promise<Requeue> {
    const { caches, client, agents, log } = this.parts;
    const { name, uid } = content.metadata;
    const { nodeName } = content.spec;
    try {
      if (files === 'artifacts') {
        await agents.agent(nodeName, caches.nodes.get(nodeName)).discard({ checkpointUid });
      } else if (files === 'archive' && !isPodContent(content)) {
        await removeArchive(this.parts, nodeName, content.spec.artifactURI, checkpointUid);
      }
    } catch (error) {
      if (!(error instanceof LpmError) || error.retryable || error.reason === 'NotLeader') throw error;
      await this.#refused(content, error);
      return { afterMs: REFUSED_MS };
    }
    if (isPodContent(content)) await remove(client.podCheckpointContents, name, undefined, uid);
    else await remove(client.containerCheckpointContents, name, undefined, uid);
    const owner = refOf(content);
    log.info(`Content ${name} is deleted: its checkpoint ${owner.namespace}/${owner.name} is gone.`, {
      content: name,
      node: nodeName,
    });
    return {};
  }

  /** Somebody has to look at it: the content says why it is still there. */
  async #refused({ metadata }: Content, error: LpmError): Promise<void> {
    const { parts } = this;
    const { reason, message, hint } = toFailure(error);
    parts.log.warn(`Content ${metadata.name} stays: ${message}`, { content: metadata.name, reason });
    parts.events.record({ metadata, apiVersion: API_VERSION, kind: this.kind }, 'Warning', reason, message);
    const reference = { name: metadata.name, uid: metadata.uid! };
    const change = <S extends NonNullable<Content['status']>>(status: S): S => ({
      ...status,
      conditions: withCondition(
        status.conditions,
        { type: CONDITION.Removed, status: 'False', reason, message: `${message} ${hint}`.trim() },
        parts.now(),
      ),
    });
    if (this.kind === 'PodCheckpointContent') {
      await updateStatus(parts.client.podCheckpointContents, reference, change);
    } else {
      await updateStatus(parts.client.containerCheckpointContents, reference, change);
    }
  }

  async #facts(content: Content): Promise<ContentFacts> {
    const { caches, client } = this.parts;
    const { namespace, name, uid } = refOf(content);
    const found = await (isPodContent(content)
      ? client.podCheckpoints.find(name, namespace)
      : client.containerCheckpoints.find(name, namespace));
    return {
      hasOwner: found?.metadata.uid === uid,
      checkpointUids: new Set(
        [...caches.podCheckpoints.list(), ...caches.containerCheckpoints.list()]
          // That this very object is gone was seen just now; the copy may show it a little longer.
          .filter(({ metadata }) => metadata.uid !== uid || metadata.name !== name)
          .map(({ metadata }) => metadata.uid!),
      ),
      podContents: caches.podContents.list(),
      containerContents: caches.containerContents.list(),
      usedBy: await this.#usedBy(content),
    };
  }

  async #usedBy(content: Content): Promise<string> {
    const { caches } = this.parts;
    const migrations = caches.migrations.list();
    const kind = isPodContent(content) ? 'PodCheckpoint' : 'ContainerCheckpoint';
    const restore = restoring(migrations, kind, refOf(content));
    if (restore) return `migration ${restore.metadata.name} restores from it`;
    // A migration may still be reading its artifact although somebody has deleted its checkpoint object.
    const migration =
      !content.spec.via &&
      migrations.find((each) => !isFinal(each) && each.status?.sourcePodUID === content.spec.podUID);
    if (migration) return `migration ${migration.metadata.name} works with it`;
    const uids = [refOf(content).uid, content.metadata.annotations?.[CHECKPOINT_UID_ANNOTATION] ?? ''];
    for (const uid of uids) {
      if (await this.parts.transfers.isOpen(uid, this.parts)) return 'it is being exported';
    }
    return '';
  }
}

/** Contents that may be to go when this checkpoint, or this content of a pod, is gone. */
export function contentsToLookAt(
  { podContents, containerContents }: Parts['caches'],
  gone: { metadata: { uid?: string } },
): { podContents: string[]; containerContents: string[] } {
  const { uid } = gone.metadata;
  const names = (contents: Content[]) => contents.map(({ metadata }) => metadata.name);
  const isSet = 'spec' in gone && 'podCheckpointRef' in (gone as Content).spec;
  return {
    podContents: names(podContents.list().filter((content) => refOf(content).uid === uid)),
    containerContents: names(
      containerContents
        .list()
        .filter(
          (content) =>
            refOf(content).uid === uid ||
            content.metadata.annotations?.[CHECKPOINT_UID_ANNOTATION] === uid ||
            (isSet && isSetOf(gone as PodCheckpointContent, content)),
        ),
    ),
  };
}
