import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** One mounted cgroup hierarchy of this machine. */
export interface Hierarchy {
  version: 1 | 2;
  mountPoint: string;
  /** Mount options that select it again inside the node: "freezer", "cpu,cpuacct", "none,name=systemd". */
  select: string;
}

/**
 * The hierarchies to give a node: on a machine with cgroup v1 (or hybrid) every v1 hierarchy and the empty v2 one,
 * else the v2 hierarchy alone. Source: cgroups(7), proc_pid_mountinfo(5).
 */
export function hierarchies(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): Hierarchy[] {
  const found = new Map<string, Hierarchy>();
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ');
    if (!before || !after) continue;
    const mountPoint = before.split(' ')[4] ?? '';
    const [type, , superOptions = ''] = after.split(' ');
    if (type === 'cgroup2') {
      found.set('cgroup2', { version: 2, mountPoint, select: '' });
    } else if (type === 'cgroup') {
      const controllers = superOptions
        .split(',')
        .filter((option) => !['rw', 'ro', 'xattr', 'clone_children', 'noprefix'].includes(option))
        .filter((option) => !option.startsWith('release_agent='));
      const select = controllers.some((option) => option.startsWith('name='))
        ? ['none', ...controllers].join(',')
        : controllers.join(',');
      if (!found.has(select)) found.set(select, { version: 1, mountPoint, select });
    }
  }
  if (found.size === 0) throw new Error('No cgroup hierarchy is mounted on this machine.');
  return [...found.values()];
}

/** A node's cgroup in each hierarchy; the cgroup namespace of the node has it as its root. */
export function cgroupDirs(group: string): string[] {
  return hierarchies().map((hierarchy) => join(hierarchy.mountPoint, group));
}

/**
 * Makes `group` (a relative path of one or two parts) in every hierarchy, ready to hold processes and children.
 */
export function createCgroups(group: string): void {
  for (const hierarchy of hierarchies()) {
    let dir = hierarchy.mountPoint;
    for (const part of group.split('/')) {
      if (hierarchy.version === 2) delegateControllers(dir);
      const parent = dir;
      dir = join(dir, part);
      mkdirSync(dir, { recursive: true });
      // A cpuset is born empty, and nothing can run in an empty one.
      for (const file of ['cpuset.cpus', 'cpuset.mems']) {
        if (hierarchy.version === 1 && existsSync(join(dir, file)) && !read(join(dir, file))) {
          writeFileSync(join(dir, file), read(join(parent, file)));
        }
      }
    }
  }
}

/** cgroup v2: children get a controller only when their parent hands it down. */
function delegateControllers(dir: string): void {
  for (const controller of read(join(dir, 'cgroup.controllers')).split(' ').filter(Boolean)) {
    try {
      writeFileSync(join(dir, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // Taken by a v1 hierarchy, or a cgroup with processes that is not the root: the node does without it.
    }
  }
}

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
};

/** Directories below `dir`, the deepest first, `dir` itself last. */
function tree(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const below = readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => tree(join(dir, entry.name)));
  return [...below, dir];
}

/** Pids in a group and in all groups below it, as this process sees them. */
export function processesIn(group: string): number[] {
  const pids = cgroupDirs(group)
    .flatMap(tree)
    .flatMap((dir) => read(join(dir, 'cgroup.procs')).split('\n'))
    .filter(Boolean)
    .map(Number)
    .filter((pid) => pid > 0);
  return [...new Set(pids)];
}

/**
 * Ends every process in the group and removes the group everywhere. Frozen processes are thawed once SIGKILL is on
 * its way to them: on cgroup v1 they could not die otherwise, and a pid namespace would never end.
 *
 * @throws when processes are still there after `timeoutMs`.
 */
export async function destroyCgroups(group: string, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    for (const pid of processesIn(group)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Ended meanwhile.
      }
    }
    for (const dir of cgroupDirs(group).flatMap(tree).reverse()) thaw(dir);
    for (const dir of cgroupDirs(group).flatMap(tree)) {
      try {
        rmdirSync(dir);
      } catch {
        // Still holds a process, or a child that does.
      }
    }
    if (!cgroupDirs(group).some((dir) => existsSync(dir))) return;
    if (Date.now() > deadline) {
      throw new Error(`The cgroup ${group} still holds processes ${processesIn(group).join(', ')}.`);
    }
    await delay(20);
  }
}

function thaw(dir: string): void {
  for (const [file, value] of [
    ['freezer.state', 'THAWED'],
    ['cgroup.freeze', '0'],
  ] as const) {
    try {
      if (existsSync(join(dir, file))) writeFileSync(join(dir, file), value);
    } catch {
      // Removed meanwhile.
    }
  }
}
