import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LpmError, messageOf } from '../common/errors.js';

/** A cgroup with a freezer: v1 has a hierarchy for it (freezer.state), v2 has it in every cgroup (cgroup.freeze). */
export interface FreezerCgroup {
  version: 1 | 2;
  /** Absolute path of its folder. */
  dir: string;
}

/**
 * Where a process's freezer is, from /proc/PID/cgroup (cgroups(7)). On a hybrid system the v1 freezer hierarchy is the one
 * that runc and CRIU use, so it goes first.
 *
 * @param cgroupRoot the mount point, usually /sys/fs/cgroup
 */
export function freezerOf(procCgroup: string, cgroupRoot: string): FreezerCgroup | undefined {
  let unified: string | undefined;
  for (const line of procCgroup.split('\n')) {
    // hierarchy-ID:controller-list:path, and the path may hold colons
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (!match) continue;
    const [, controllers = '', path = ''] = match;
    if (controllers.split(',').includes('freezer')) {
      return { version: 1, dir: join(cgroupRoot, 'freezer', path) };
    }
    if (controllers === '') unified = path;
  }
  if (unified === undefined) return undefined;
  return { version: 2, dir: join(cgroupRoot, unified) };
}

/**
 * The cgroup of the whole container: the outermost that carries its ID. With systemd, crun puts the processes into one more below that
 * (its annotation run.oci.systemd.subgroup), and a process may have made others.
 */
export function containerCgroupOf(ofProcess: FreezerCgroup, containerId: string): FreezerCgroup {
  const parts = ofProcess.dir.split('/');
  const at = parts.findIndex((part) => part.includes(containerId));
  return at < 0 ? ofProcess : { version: ofProcess.version, dir: parts.slice(0, at + 1).join('/') };
}

/**
 * The cgroup of the whole pod: the parent of a container's, when its name carries the pod's UID. cgroupfs writes
 * `pod<uid>`, systemd `kubepods-besteffort-pod<uid with _>.slice`.
 */
export function podCgroupOf(container: FreezerCgroup, podUid: string): FreezerCgroup | undefined {
  const dir = dirname(container.dir);
  const name = basename(dir);
  const matches = name.includes(`pod${podUid}`) || name.includes(`pod${podUid.replaceAll('-', '_')}`);
  return matches ? { version: container.version, dir } : undefined;
}

/**
 * The cgroup of a pod where the kubelet makes it: below `kubepods` (cgroupfs) or `kubepods.slice` (systemd), that of a pod that is
 * not guaranteed its resources below its class.
 *
 * @param cgroupRoot the mount point, usually /sys/fs/cgroup
 */
export function podCgroupByName(cgroupRoot: string, podUid: string): FreezerCgroup | undefined {
  for (const [version, root] of [
    [1, join(cgroupRoot, 'freezer')],
    [2, cgroupRoot],
  ] as const) {
    const tops = childCgroups(root).filter((name) => name === 'kubepods' || name === 'kubepods.slice');
    for (const top of tops.map((name) => join(root, name))) {
      const classes = childCgroups(top).filter((name) => /(^|-)(besteffort|burstable)(\.slice)?$/.test(name));
      for (const parent of [top, ...classes.map((name) => join(top, name))]) {
        for (const name of childCgroups(parent)) {
          const pod = podCgroupOf({ version, dir: join(parent, name, 'any') }, podUid);
          if (pod) return pod;
        }
      }
    }
  }
  return undefined;
}

export type FreezerState = 'thawed' | 'freezing' | 'frozen';

/** The effective state: also frozen when an ancestor is. */
export function freezerState(cgroup: FreezerCgroup): FreezerState {
  if (cgroup.version === 1) {
    const state = readFileSync(join(cgroup.dir, 'freezer.state'), 'utf8').trim();
    return state === 'FROZEN' ? 'frozen' : state === 'FREEZING' ? 'freezing' : 'thawed';
  }
  const events = readFileSync(join(cgroup.dir, 'cgroup.events'), 'utf8');
  if (/^frozen 1$/m.test(events)) return 'frozen';
  return isFrozenItself(cgroup) ? 'freezing' : 'thawed';
}

/** True when this cgroup's own switch is set, whatever its ancestors are. */
export function isFrozenItself(cgroup: FreezerCgroup): boolean {
  const file = cgroup.version === 1 ? 'freezer.self_freezing' : 'cgroup.freeze';
  return readFileSync(join(cgroup.dir, file), 'utf8').trim() === '1';
}

/** Sets the switch; the state follows (see waitFrozen). */
export function setFreezer(cgroup: FreezerCgroup, frozen: boolean): void {
  const [file, value] =
    cgroup.version === 1
      ? ['freezer.state', frozen ? 'FROZEN' : 'THAWED']
      : ['cgroup.freeze', frozen ? '1' : '0'];
  writeFileSync(join(cgroup.dir, file), value);
}

/**
 * Waits until everything in it is frozen.
 *
 * @param timeoutMs a process in an uninterruptible sleep (a hanging network file system) is never frozen
 * @throws FreezeFailed
 */
export async function waitFrozen(cgroup: FreezerCgroup, timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs;
  let round = 0;
  try {
    while (freezerState(cgroup) !== 'frozen') {
      if (performance.now() > end) {
        throw new LpmError('FreezeFailed', `${cgroup.dir} did not freeze within ${timeoutMs} ms.`, {
          hint: 'A process in it may hang in the kernel (state D); look at /proc/PID/stack.',
        });
      }
      // v1 gives up on a process that was about to fork; writing again makes it try again (as runc does).
      if (cgroup.version === 1 && ++round % 10 === 0) setFreezer(cgroup, true);
      await delay(1);
    }
  } catch (error) {
    if (error instanceof LpmError) throw error;
    throw new LpmError('FreezeFailed', `${cgroup.dir} cannot be frozen: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

/** Processes in a cgroup and all below it. A cgroup that is gone has none. */
export function processesBelow(dir: string): number[] {
  const found: number[] = [];
  for (const each of cgroupsBelow(dir)) {
    try {
      found.push(...readFileSync(join(each, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number));
    } catch {
      // Removed meanwhile, or (ENOTSUP) a threaded one, whose processes stand in its parent.
    }
  }
  return [...new Set(found)];
}

/** The cgroup itself and all below it. */
export function cgroupsBelow(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const found = [dir];
  for (const name of childCgroups(dir)) found.push(...cgroupsBelow(join(dir, name)));
  return found;
}

/** Names of the cgroups directly below one. */
export function childCgroups(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}
