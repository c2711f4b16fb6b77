import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Claim, type TargetContainerState, type TargetState } from '../proto/gen/lpm/v1/agent.js';
import { readClaim } from './claim.js';
import { logTail } from './criu-messages.js';
import { readLogFile } from './log-file.js';
import { isLabel } from './names.js';
import { readText } from './oci.js';
import { durationOf } from './operation.js';
import { isAlive, uptimeSeconds } from './process.js';
import { readFields, type StateDir } from './state.js';

/** A handler that stands in `create`, from its file `waiting`. */
export interface WaitingHandler {
  pid: number;
  startTime: string;
  containerId: string;
  bundle: string;
  /** Seconds since boot until which it waits. */
  deadline: number;
  alive: boolean;
}

/** What lies on disk of a container that waits for its state or got it (PROTOCOL.md). */
export interface TargetContainer {
  name: string;
  folder: string;
  handler: WaitingHandler | undefined;
  staged: boolean;
  /** ID of the container that the stage was marked ready for. */
  readyFor: string | undefined;
  attempted: boolean;
  /** Everything is restored and stands still in its frozen cgroup, and the handler has answered or is about to. */
  held: HeldContainer | undefined;
  /** When it was let go; when nobody had to let it go, when the claim was made. */
  restoredAt: Date | undefined;
  failure: { sentence: string; log: string } | undefined;
}

/** The handler's file `held`. */
export interface HeldContainer {
  containerId: string;
  /** The container's cgroup as the handler saw it, to be checked before use (release.ts). */
  cgroup: string;
}

export function observeContainer(state: StateDir, podUid: string, name: string): TargetContainer {
  const folder = state.container(podUid, name);
  const has = (file: string): boolean => existsSync(join(folder, file));
  const fields = readFields(join(folder, 'waiting'));
  const pid = Number(fields?.pid);
  const held = readFields(join(folder, 'held'));
  return {
    name,
    folder,
    handler: fields?.pid
      ? {
          pid,
          startTime: fields.start ?? '',
          containerId: fields.container ?? '',
          bundle: fields.bundle ?? '',
          deadline: Number(fields.deadline),
          alive: isAlive(pid, fields.start),
        }
      : undefined,
    staged: has('stage'),
    readyFor: readFields(join(folder, 'ready'))?.container,
    attempted: has('attempted'),
    held: held && { containerId: held.container ?? '', cgroup: held.cgroup ?? '' },
    restoredAt: readRestoredAt(state.pod(podUid), folder),
    failure: readFailure(folder),
  };
}

export function observePod(state: StateDir, podUid: string): TargetContainer[] {
  let names: string[];
  try {
    names = readdirSync(join(state.pod(podUid), 'containers'));
  } catch {
    return [];
  }
  return names.filter(isLabel).map((name) => observeContainer(state, podUid, name));
}

/** Written by the agent that let it go: nanoseconds since 1970. It counts for nothing without the claim. */
function readRestoredAt(podDir: string, folder: string): Date | undefined {
  if (readClaim(podDir).claim !== Claim.CLAIM_COMMITTED) return undefined;
  const text = readText(join(folder, 'restored')).trim();
  if (/^\d+$/.test(text)) return new Date(Number(BigInt(text) / 1_000_000n));
  // The handler has made the claim, for what executed without having been allowed to, and may have had to take it away.
  if (existsSync(join(folder, 'held')) || existsSync(join(folder, 'waiting'))) return undefined;
  return existsSync(join(folder, 'attempted')) ? statSync(join(podDir, 'claim')).mtime : undefined;
}

function readFailure(folder: string): TargetContainer['failure'] {
  const text = readText(join(folder, 'failed'));
  if (!text) return undefined;
  const [sentence = '', ...rest] = text.split('\n');
  const logFile = rest.find((line) => line.startsWith('log '))?.slice('log '.length);
  const log = logFile?.startsWith(`${folder}/`) ? readLogFile(logFile) : '';
  return { sentence, log };
}

/** TargetState of GetPodState. */
export function targetState(state: StateDir, podUid: string): TargetState {
  const containers = observePod(state, podUid);
  const restored = containers.map(({ restoredAt }) => restoredAt?.getTime() ?? 0);
  const { claim } = readClaim(state.pod(podUid));
  return {
    claim,
    containers: containers.map((container) => describe(container, claim)),
    restoredAt: Math.max(0, ...restored) > 0 ? new Date(Math.max(...restored)) : undefined,
  };
}

function describe(container: TargetContainer, claim: Claim): TargetContainerState {
  const { handler, failure } = container;
  const waiting = handler !== undefined && handler.alive && !container.attempted;
  return {
    name: container.name,
    waiting,
    waitLeft: waiting ? durationOf(Math.max(0, handler.deadline - uptimeSeconds()) * 1000) : undefined,
    staged: container.readyFor !== undefined,
    attempted: container.attempted,
    completed: container.attempted && claim === Claim.CLAIM_COMMITTED,
    failed: failure !== undefined,
    failure: failure?.sentence ?? '',
    failureLog: logTail(failure?.log ?? ''),
  };
}

/** What a restore does next about the pod, and about which of its containers. */
export type NextStep =
  | { do: 'prepare' | 'failed' | 'lost'; container: TargetContainer }
  | { do: 'wait' | 'revoked' }
  /** All of them are held: nothing but the claim keeps them from executing. */
  | { do: 'commit' }
  /** The claim is made: what is still held is let go. */
  | { do: 'release' }
  | { do: 'restored' };

/**
 * Decides from what lies on disk alone, so that it does not matter how often it is asked or by which agent process.
 *
 * @param containers those that are to be restored, in the order of the pod's spec
 */
export function nextStep(claim: Claim, containers: readonly TargetContainer[]): NextStep {
  if (claim === Claim.CLAIM_REVOKED) return { do: 'revoked' };
  if (claim === Claim.CLAIM_COMMITTED) {
    if (containers.some(({ held, restoredAt }) => held && !restoredAt)) return { do: 'release' };
    return { do: containers.every(({ restoredAt }) => restoredAt) ? 'restored' : 'wait' };
  }
  for (const container of containers) {
    const { failure, held, attempted, handler } = container;
    if (held) continue;
    if (failure) return { do: 'failed', container };
    if (attempted && !handler?.alive) return { do: 'lost', container };
    if (handler?.alive && container.readyFor !== handler.containerId) return { do: 'prepare', container };
  }
  return { do: containers.every(({ held }) => held) ? 'commit' : 'wait' };
}
