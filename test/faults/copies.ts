/** Which copies of a counter there are on this machine, found among all processes, whatever any program says of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freezerOf, freezerState } from '../../agent/cgroup.js';

export interface Copy {
  /** The container's cgroup. */
  cgroup: string;
  frozen: boolean;
}

/** @param mark what stands in the command line of the counter's processes */
export function copiesOf(mark: string): Copy[] {
  const found = new Map<string, Copy>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`: ${mark};`)) continue;
      if (/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) continue;
      const cgroup = freezerOf(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), '/sys/fs/cgroup');
      if (cgroup) found.set(cgroup.dir, { cgroup: cgroup.dir, frozen: freezerState(cgroup) !== 'thawed' });
    } catch {
      // Ended while it was looked at.
    }
  }
  return [...found.values()];
}

/**
 * Looks at short intervals whether more than one copy could execute. One look alone may fall between the kill of a copy and
 * its end, so two in a row must see the same pair.
 */
export class CopyWatch {
  /** When two copies were seen that could execute, and which. */
  readonly seen: string[] = [];
  readonly #timer: NodeJS.Timeout;
  #before = '';

  constructor(mark: string, everyMs = 150) {
    this.#timer = setInterval(() => {
      const free = copiesOf(mark)
        .filter(({ frozen }) => !frozen)
        .map(({ cgroup }) => cgroup)
        .sort();
      const now = free.length > 1 ? free.join(' and ') : '';
      if (now && now === this.#before) this.seen.push(now);
      this.#before = now;
    }, everyMs);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** Everything in a cgroup hierarchy's branch that stands still. */
export function frozenBelow(dir: string): string[] {
  const found: string[] = [];
  const visit = (folder: string): void => {
    const state = readText(join(folder, 'freezer.state')) || readText(join(folder, 'cgroup.freeze'));
    if (/^(FROZEN|FREEZING|1)$/.test(state)) found.push(folder);
    for (const entry of subfolders(folder)) visit(join(folder, entry));
  };
  visit(dir);
  return found;
}

export function subfolders(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
