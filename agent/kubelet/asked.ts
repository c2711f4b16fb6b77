/**
 * state/kubelet/CHECKPOINT-UID.json: that the kubelet was asked, written and synced before it is. An agent that finds it has died,
 * or lost the connection, while the kubelet worked; the archive may be there. Removed when the archive is kept.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkUid, type CheckedPod } from '../names.js';
import { writeDurably, type StateDir } from '../state.js';

export interface Asked {
  version: 1;
  pod: CheckedPod;
  container: string;
  containerId: string;
  /** Milliseconds since 1970. */
  at: number;
}

const root = (state: StateDir): string => join(state.root, 'kubelet');
const fileOf = (state: StateDir, checkpointUid: string): string =>
  join(root(state), `${checkUid(checkpointUid, 'checkpoint UID').toLowerCase()}.json`);

export function noteAsked(state: StateDir, checkpointUid: string, asked: Asked): void {
  mkdirSync(root(state), { recursive: true, mode: 0o700 });
  writeDurably(fileOf(state, checkpointUid), `${JSON.stringify(asked)}\n`);
}

export function readAsked(state: StateDir, checkpointUid: string): Asked | undefined {
  try {
    const asked = JSON.parse(readFileSync(fileOf(state, checkpointUid), 'utf8')) as Asked;
    return asked.version === 1 ? asked : undefined;
  } catch {
    return undefined;
  }
}

export function forgetAsked(state: StateDir, checkpointUid: string): void {
  rmSync(fileOf(state, checkpointUid), { force: true });
}

/** For how long somebody may come back for a checkpoint whose agent died: longer than any checkpoint is waited for. */
const KEEP_MS = 2 * 24 * 3600_000;

/** Takes away what nobody has asked about again. */
export function removeOldAsked(state: StateDir, now = Date.now()): void {
  let names: string[] = [];
  try {
    names = readdirSync(root(state));
  } catch {
    // No kubelet was asked yet.
  }
  for (const name of names) {
    const uid = name.replace(/\.json$/, '');
    const asked = readAsked(state, uid);
    if (asked && now - asked.at > KEEP_MS) forgetAsked(state, uid);
  }
}
