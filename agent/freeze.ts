import { setTimeout as delay } from 'node:timers/promises';
import { LpmError, messageOf } from '../common/errors.js';
import {
  freezerState,
  isFrozenItself,
  processesBelow,
  setFreezer,
  waitFrozen,
  type FreezerCgroup,
} from './cgroup.js';
import { waitingInVfork } from './vfork.js';

/** A process that does not freeze within this time hangs in the kernel; a pod is not kept half frozen for longer. */
const FREEZE_TIMEOUT_MS = 5000;

/** How long another moment is tried, when a process stands where it cannot be dumped. */
const SUITABLE_MOMENT_MS = 3000;

/** One moment on both clocks: the wall's, to be told, and the monotonic one (performance.now), to measure from. */
export interface FrozenMoment {
  frozenAt: Date;
  monotonicMs: number;
}

/**
 * Freezes several cgroups together: all switches are set before the first is waited for. A moment in which a process waits
 * for its vfork child is let go by: it would make the dump fail, and the next one is milliseconds away.
 *
 * @returns when the first switch was about to be set
 * @throws FreezeFailed; everything is thawed again then
 */
export async function freezeAll(cgroups: readonly FreezerCgroup[]): Promise<FrozenMoment> {
  const end = performance.now() + SUITABLE_MOMENT_MS;
  for (let round = 1; ; round++) {
    const moment = await freezeOnce(cgroups);
    const [unsuitable] = waitingInVfork(cgroups.flatMap(({ dir }) => processesBelow(dir)));
    if (unsuitable === undefined) return moment;
    thawAll(cgroups);
    if (performance.now() > end) {
      throw new LpmError(
        'FreezeFailed',
        `Process ${unsuitable} waits for a child that it made by vfork and that calls no exec: in this state CRIU cannot dump it.`,
        { hint: 'Look at what that process is starting, and try again when it is done.' },
      );
    }
    // Not in step with a process that does the same thing over and over.
    await delay(1 + (round % 7));
  }
}

async function freezeOnce(cgroups: readonly FreezerCgroup[]): Promise<FrozenMoment> {
  const moment = { frozenAt: new Date(), monotonicMs: performance.now() };
  try {
    for (const cgroup of cgroups) setFreezer(cgroup, true);
    await Promise.all(cgroups.map((cgroup) => waitFrozen(cgroup, FREEZE_TIMEOUT_MS)));
    return moment;
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
