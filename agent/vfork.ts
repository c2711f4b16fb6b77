import { readdirSync, readFileSync } from 'node:fs';

/**
 * Kernel functions in which a parent waits for its vfork(2) child to call exec or to end: kernel_clone since Linux 5.10,
 * _do_fork and do_fork before, wait_for_vfork_done where the compiler has not inlined it.
 */
const VFORK_WAITS = new Set(['kernel_clone', '_do_fork', 'do_fork', 'wait_for_vfork_done']);

/**
 * The processes of which a thread waits for a vfork child. CRIU cannot dump one that is frozen in this moment: it cannot stop
 * the parent before the child goes on, and the child does not, so CRIU's own limit of 10 s ends the dump. Shells start each
 * program this way.
 */
export function waitingInVfork(pids: readonly number[]): number[] {
  return pids.filter((pid) => threadsOf(pid).some((thread) => VFORK_WAITS.has(waitChannel(pid, thread))));
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** The kernel function in which a thread sleeps (proc_pid_wchan(5)); "0" or empty when it does not, or the kernel does not say. */
function waitChannel(pid: number, thread: string): string {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/wchan`, 'utf8');
  } catch {
    return '';
  }
}
