/** What becomes of an object, by the state of its owners: the pure part of the garbage collector. */
import type { KubeObject } from '../../../common/kube/types.js';

export type OwnerReference = NonNullable<KubeObject['metadata']['ownerReferences']>[number];

export const foreground = 'foregroundDeletion';
export const orphan = 'orphan';

/** `waits`: being deleted in the foreground, held up by this dependent. `unknown`: of a kind that is not served, or not to be told. */
export type OwnerState = 'alive' | 'waits' | 'gone' | 'unknown';

export type Verdict =
  | { action: 'keep' }
  /** Some owners live: the references to the others go. */
  | { action: 'release'; left: OwnerReference[] }
  | { action: 'delete'; policy: 'Foreground' | 'Background' | 'Orphan' };

export function judge(
  owners: readonly { reference: OwnerReference; state: OwnerState }[],
  finalizers: readonly string[],
  hasDependents: boolean,
): Verdict {
  const lost = owners.filter(({ state }) => state === 'gone' || state === 'waits');
  if (lost.length === 0) return { action: 'keep' };
  if (lost.length < owners.length) {
    const left = owners.filter((one) => !lost.includes(one));
    return { action: 'release', left: left.map(({ reference }) => reference) };
  }
  if (hasDependents && owners.some(({ state }) => state === 'waits')) {
    return { action: 'delete', policy: 'Foreground' };
  }
  // An object that was to orphan its own dependents, or to wait for them, goes on doing so.
  if (finalizers.includes(orphan)) return { action: 'delete', policy: 'Orphan' };
  return { action: 'delete', policy: finalizers.includes(foreground) ? 'Foreground' : 'Background' };
}

export const isEnding = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp !== undefined;

/** Being deleted after its dependents. */
export const isWaiting = (object: KubeObject): boolean =>
  isEnding(object) && (object.metadata.finalizers?.includes(foreground) ?? false);

export const isOrphaning = (object: KubeObject): boolean =>
  isEnding(object) && (object.metadata.finalizers?.includes(orphan) ?? false);
