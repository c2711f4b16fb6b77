import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FreezerCgroup } from './cgroup.js';
import type { Host } from './host.js';

/**
 * Where killed processes of a frozen cgroup can die. On cgroup v1 a frozen process does not act on SIGKILL. Moved into a
 * cgroup that is not frozen it is woken and dies of the pending signal before it executes anything of its own, and the cgroup
 * that it has left stays frozen: nothing else in there gets to run meanwhile. On v2 SIGKILL ends frozen processes as they are.
 */
export interface WayOut {
  /** Lets a process out that has been killed. */
  letOut(pid: number): void;
  close(): void;
}

const NOWHERE: WayOut = { letOut: () => {}, close: () => {} };

export function wayOut(host: Host, podCgroup: FreezerCgroup, podUid: string): WayOut {
  if (podCgroup.version === 2) return NOWHERE;
  const dir = join(host.path('/sys/fs/cgroup/freezer'), `lpm-end-${podUid}`);
  mkdirSync(dir, { recursive: true });
  return {
    letOut: (pid) => {
      try {
        writeFileSync(join(dir, 'cgroup.procs'), String(pid));
      } catch {
        // It is gone already (ESRCH).
      }
    },
    close: () => {
      try {
        rmdirSync(dir);
      } catch {
        // A process that hangs in the kernel is still in it; the next end of this pod comes by here again.
      }
    },
  };
}
