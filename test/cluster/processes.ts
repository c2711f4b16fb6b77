import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process of ours, told apart from a later one that got the same pid. */
export interface ProcessRecord {
  pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat (proc_pid_stat(5)). */
  startTime: string;
}

/** State letter and start time of a process; undefined when there is none. */
function stat(pid: number): { state: string; startTime: string } | undefined {
  try {
    // The command name is in parentheses and may itself contain spaces and parentheses.
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** @throws when there is no such process. */
export function recordProcess(pid: number): ProcessRecord {
  const found = stat(pid);
  if (!found) throw new Error(`process ${pid} ended before it could be recorded`);
  return { pid, startTime: found.startTime };
}

/** True while exactly this process runs; a zombie counts as ended. */
export function isRunning(record: ProcessRecord): boolean {
  const found = stat(record.pid);
  return found !== undefined && found.startTime === record.startTime && found.state !== 'Z';
}

/** Sends a signal to exactly this process; false when it has ended. */
export function signalProcess(record: ProcessRecord, signal: NodeJS.Signals): boolean {
  if (!isRunning(record)) return false;
  try {
    return process.kill(record.pid, signal);
  } catch {
    return false;
  }
}

/** SIGTERM, SIGKILL after `graceMs`, and waits until it is gone. */
export async function endProcess(record: ProcessRecord, graceMs = 3000): Promise<void> {
  if (!signalProcess(record, graceMs > 0 ? 'SIGTERM' : 'SIGKILL')) return;
  const killAt = Date.now() + graceMs;
  let killed = graceMs <= 0;
  while (isRunning(record)) {
    if (!killed && Date.now() > killAt) {
      signalProcess(record, 'SIGKILL');
      killed = true;
    }
    await delay(10);
  }
}
