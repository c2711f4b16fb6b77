import { readdirSync } from 'node:fs';

/**
 * The restart count of a container of which the runtime has forgotten all runs: one more than the youngest log file
 * (N.log, N.log.20260101-000000) tells, as the kubelet's calcRestartCountByLogDir; 0 without logs.
 */
export function restartCountByLogs(folder: string): number {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return 0;
  }
  const runs = names.flatMap((name) => /^(\d+)\.log/.exec(name)?.[1] ?? []).map(Number);
  return runs.length > 0 ? Math.max(...runs) + 1 : 0;
}
