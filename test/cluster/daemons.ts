import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { cgroupDirs } from './node/cgroups.js';
import { recordProcess, type ProcessRecord } from './processes.js';

/**
 * Starts a process that outlives this one, with its output appended to a log file. It is born in the cgroup, so that
 * it can be found and ended even when whoever started it was killed before it could write down its pid.
 *
 * @param netns process whose network namespace it joins; this machine's without.
 */
export function startDaemon(
  argv: readonly string[],
  { cgroup, log, netns }: { cgroup: string; log: string; netns?: ProcessRecord },
): ProcessRecord {
  mkdirSync(dirname(log), { recursive: true });
  const output = openSync(log, 'a');
  const enter = cgroupDirs(cgroup).map((dir) => `echo 0 >'${dir}/cgroup.procs'`);
  const nsenter = netns ? `nsenter --net=/proc/${netns.pid}/ns/net -- ` : '';
  const child = spawn('sh', ['-c', `${enter.join(' && ')} && exec ${nsenter}"$@"`, 'sh', ...argv], {
    detached: true,
    stdio: ['ignore', output, output],
    cwd: '/',
  });
  child.unref();
  closeSync(output);
  if (child.pid === undefined) throw new Error(`could not start ${argv[0] ?? ''}`);
  return recordProcess(child.pid);
}

/** The end of a log file, for the message that says why something did not come up. */
export function logTail(file: string, lines = 8): string {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').slice(-lines).join('\n');
  } catch {
    return '(no log)';
  }
}
