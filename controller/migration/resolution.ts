/** What a person has decided about a migration that cannot know whether its other side runs (spec.resolution). */
import { howToResolve as offer, type Side } from '../../common/api/resolution.js';
import type { PodMigration } from '../../common/api/schema.js';
import { findCondition } from '../status/conditions.js';
import { REASON } from '../status/reasons.js';
import type { Draft } from './draft.js';

export type Kept = Side;

/** The decision that was accepted; it stands in the condition Resolved. */
export function keptSide(status: PodMigration['status']): Kept | undefined {
  const resolved = findCondition(status?.conditions, 'Resolved');
  if (resolved?.status !== 'True') return undefined;
  return resolved.reason === REASON.KeepSource ? 'Source' : 'Target';
}

/**
 * Takes up spec.resolution. It counts only once the migration says that it is stuck: before, the nodes themselves can still
 * tell, and a person is never asked to know better than they.
 *
 * @param impossible why one of the sides cannot be kept any more, whatever a person wants
 * @returns the side to keep, undefined when nobody has decided
 */
export function resolution(
  draft: Draft,
  impossible: { [Side in Kept]?: string | undefined },
  words: { [Side in Kept]: string } = { Source: 'to keep the source', Target: 'to keep the target' },
): Kept | undefined {
  const kept = keptSide(draft.status);
  const wanted = draft.observed.migration.spec.resolution;
  if (kept || !wanted || !draft.has('Stuck')) return kept;
  const why = impossible[wanted];
  if (why) {
    const message = `The ${wanted.toLowerCase()} cannot be kept: ${why}`;
    if (!findCondition(draft.status.conditions, 'Resolved')) {
      draft.event('migration', 'Warning', REASON.NotPossible, message);
    }
    draft.condition('Resolved', 'False', REASON.NotPossible, message);
    return undefined;
  }
  const message = `A person has decided ${words[wanted]}.`;
  draft.condition('Resolved', 'True', wanted === 'Source' ? REASON.KeepSource : REASON.KeepTarget, message);
  draft.event('migration', 'Warning', 'Resolved', message);
  // Written down before anything is done that rests on it alone.
  draft.barrier();
  return wanted;
}

/** How a person decides, as the end of a message. */
export function howToResolve(draft: Draft, sides: { [Side in Kept]?: string }): string {
  return offer(draft.observed.migration.metadata, sides);
}
