import { readText } from './oci.js';

/** Bytes of anonymous and shared memory of some processes (RssAnon and RssShmem, proc_pid_status(5)): what a dump writes. */
export function memoryBytes(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids) {
    for (const match of readText(`/proc/${pid}/status`).matchAll(/^(?:RssAnon|RssShmem):\s*(\d+) kB$/gm)) {
      kilobytes += Number(match[1]);
    }
  }
  return kilobytes * 1024;
}
