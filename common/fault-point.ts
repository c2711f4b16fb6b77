/**
 * Stops a program of the test build at a named place, as whoever tests has asked by a file of that name:
 *
 *     FAULT: await faultPoint('agent.checkpoint.frozen');
 *
 * The build drops whatever is labelled FAULT (build.mjs), so users' programs hold neither the calls nor the names.
 *
 * <folder>/<name> arms a place; it holds what is to happen and, if not at once, at which pass: "kill", "hang 3". It happens
 * once: the file is moved to <folder>/fired/<name> by the one who meets it, before anything happens.
 */
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LpmError } from './errors.js';
import type { FaultPoint } from './fault-points.js';

/** Set by the test build. */
declare const LPM_FAULTS: boolean | undefined;
const testBuild = typeof LPM_FAULTS === 'boolean' && LPM_FAULTS;

const folder = (): string => process.env.LPM_FAULT_DIR ?? '/run/lpm-faults';

/**
 * - kill: this process is killed;
 * - hang: whoever stands here stands until the mark in fired/ is removed, the rest of the process goes on;
 * - error: an internal error is thrown;
 * - kill-criu, kill-runtime: the CRIU, or the OCI runtime, that works on this machine is killed, and this process goes on.
 */
export const FAULT_KINDS = ['kill', 'hang', 'error', 'kill-criu', 'kill-runtime'] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export async function faultPoint(name: FaultPoint): Promise<void> {
  if (testBuild) await meet(folder(), name);
}

/** For places that cannot wait: `hang` holds up the whole process there. */
export function faultPointSync(name: FaultPoint): void {
  if (testBuild) meetSync(folder(), name);
}

export async function meet(dir: string, name: FaultPoint): Promise<void> {
  const kind = take(dir, name);
  switch (kind) {
    case undefined:
      return;
    case 'hang':
      while (existsSync(join(dir, 'fired', name))) await delay(10);
      return;
    case 'kill-criu':
    case 'kill-runtime':
      return killOther(kind);
    default:
      return happen(kind, name);
  }
}

export function meetSync(dir: string, name: FaultPoint): void {
  const kind = take(dir, name);
  if (kind === undefined) return;
  if (kind !== 'hang') return happen(kind, name);
  const clock = new Int32Array(new SharedArrayBuffer(4));
  while (existsSync(join(dir, 'fired', name))) Atomics.wait(clock, 0, 0, 10);
}

/** What is to happen here now; the file's move is the claim to it, so it happens once. */
function take(dir: string, name: FaultPoint): FaultKind | undefined {
  const armed = join(dir, name);
  try {
    const [kind, pass = '1'] = readFileSync(armed, 'utf8').trim().split(' ');
    if (Number(pass) > 1) {
      writeFileSync(`${armed}.next`, `${kind} ${Number(pass) - 1}\n`);
      renameSync(`${armed}.next`, armed);
      return undefined;
    }
    renameSync(armed, join(dir, 'fired', name));
    return FAULT_KINDS.find((known) => known === kind);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function happen(kind: Exclude<FaultKind, 'hang'>, name: FaultPoint): void {
  if (kind === 'error') throw new LpmError('Internal', `A fault was asked for at ${name}.`);
  process.kill(process.pid, 'SIGKILL');
}

/** Such a process starts only a little later than whoever starts it says so. */
const APPEARS_MS = 5000;

async function killOther(kind: 'kill-criu' | 'kill-runtime'): Promise<void> {
  const wanted = kind === 'kill-criu' ? /^criu$/ : /^(runc|crun)(:\[.*)?$/;
  const end = performance.now() + APPEARS_MS;
  while (performance.now() < end) {
    const found = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && isWorking(pid, wanted));
    if (found.length > 0) {
      for (const pid of found) process.kill(Number(pid), 'SIGKILL');
      return;
    }
    await delay(1);
  }
}

function isWorking(pid: string, name: RegExp): boolean {
  try {
    const [, comm = ''] = /^Name:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    if (!name.test(comm)) return false;
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return comm === 'criu' || words.includes('checkpoint') || words.includes('restore');
  } catch {
    return false;
  }
}
