import { LpmError, messageOf } from '../common/errors.js';
import { freezerState, isFrozenItself, setFreezer, waitFrozen, type FreezerCgroup } from './cgroup.js';

/** A process that does not freeze within this time hangs in the kernel; a pod is not kept half frozen for longer. */
const FREEZE_TIMEOUT_MS = 5000;

/**
 * Freezes several cgroups together: all switches are set before the first is waited for.
 *
 * @returns when the first switch was about to be set (wall clock)
 * @throws FreezeFailed; everything is thawed again then
 */
export async function freezeAll(cgroups: readonly FreezerCgroup[]): Promise<Date> {
  const frozenAt = new Date();
  try {
    for (const cgroup of cgroups) setFreezer(cgroup, true);
    await Promise.all(cgroups.map((cgroup) => waitFrozen(cgroup, FREEZE_TIMEOUT_MS)));
    return frozenAt;
  } catch (error) {
    thawAll(cgroups);
    if (error instanceof LpmError) throw error;
    throw new LpmError('FreezeFailed', `The containers cannot be frozen: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

/** Thaws cgroups, all that can be: the outermost last, so that containers below it begin to run together. */
export function thawAll(cgroups: readonly FreezerCgroup[]): void {
  for (const cgroup of [...cgroups].sort((a, b) => b.dir.length - a.dir.length)) {
    try {
      setFreezer(cgroup, false);
    } catch {
      // A cgroup that is gone holds nothing that could be frozen.
    }
  }
}

/** True when it is frozen by its own switch or an ancestor's; false too when it is gone. */
export function isFrozen(cgroup: FreezerCgroup): boolean {
  try {
    return freezerState(cgroup) !== 'thawed';
  } catch {
    return false;
  }
}

export function hasOwnFreeze(cgroup: FreezerCgroup): boolean {
  try {
    return isFrozenItself(cgroup);
  } catch {
    return false;
  }
}
