import { readFileSync, readdirSync } from 'node:fs';

/** What proc_pid_stat(5) tells: a PID alone may have been given to another process since. */
export interface ProcessStat {
  pid: number;
  state: string;
  parent: number;
  /** Clock ticks since boot. */
  startTime: string;
}

export function readStat(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in field 2 may hold anything, even parentheses: what follows the last one is numbers.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { pid, state: fields[0] ?? '', parent: Number(fields[1]), startTime: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** True while the very process that had this start time lives (a zombie does not). */
export function isAlive(pid: number, startTime?: string): boolean {
  const stat = readStat(pid);
  if (!stat || stat.state === 'Z' || stat.state === 'X') return false;
  return startTime === undefined || stat.startTime === startTime;
}

/** All processes below one, in no order. */
export function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(Number(name));
    if (stat) children.set(stat.parent, [...(children.get(stat.parent) ?? []), stat.pid]);
  }
  const found: number[] = [];
  const visit = (parent: number): void => {
    for (const child of children.get(parent) ?? []) {
      found.push(child);
      visit(child);
    }
  };
  visit(pid);
  return found;
}

/** Processes whose command line holds a text. */
export function processesNaming(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text) && isAlive(pid);
      } catch {
        return false;
      }
    });
}

const SIGKILL = 9;
const SIGTERM = 15;

/** Signals that wait for a process (SigPnd of the thread and ShdPnd of the whole process, proc_pid_status(5)). */
export function pendingSignals(pid: number): { kill: boolean; term: boolean } {
  let mask = 0n;
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    for (const match of status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)/gm)) {
      mask |= BigInt(`0x${match[1]}`);
    }
  } catch {
    // Gone: nothing is pending for it.
  }
  const has = (signal: number): boolean => ((mask >> BigInt(signal - 1)) & 1n) === 1n;
  return { kill: has(SIGKILL), term: has(SIGTERM) };
}

/** A signal that ends it waits for a process: as soon as it is thawed, it dies (or, of SIGTERM, does what it does then). */
export function isDoomed(pid: number): boolean {
  const { kill, term } = pendingSignals(pid);
  return kill || term;
}

/** Sends SIGKILL; a process that is gone already is no error. */
export function killNow(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

/** Kills a process and everything below it, parents first, so that none of them can start another. */
export function killTree(pid: number): void {
  const below = descendants(pid);
  for (const each of [pid, ...below]) killNow(each);
}

/** Names this boot of the machine (random(4)). */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Seconds since boot, as the runtime handler counts its deadline. */
export function uptimeSeconds(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
}
