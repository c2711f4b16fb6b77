import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Claim, type TargetContainerState, type TargetState } from '../proto/gen/lpm/v1/agent.js';
import { readClaim, readExecuted } from './claim.js';
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
  /** CRIU has restored everything and stands at post-restore, waiting for the hold to end or for the claim. */
  held: boolean;
  executed: boolean;
  completed: boolean;
  restoredAt: Date | undefined;
  failure: { sentence: string; log: string } | undefined;
}

export function observeContainer(state: StateDir, podUid: string, name: string): TargetContainer {
  const folder = state.container(podUid, name);
  const has = (file: string): boolean => existsSync(join(folder, file));
  const fields = readFields(join(folder, 'waiting'));
  const pid = Number(fields?.pid);
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
    held: has('attempted/1/held'),
    executed: readExecuted(folder).by === 'target',
    completed: has('completed'),
    restoredAt: readRestoredAt(folder),
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

/** Written by CRIU's post-resume script: nanoseconds since 1970. It counts for nothing without the mark `executed`. */
function readRestoredAt(folder: string): Date | undefined {
  if (readExecuted(folder).by !== 'target') return undefined;
  const text = readText(join(folder, 'restored')).trim();
  if (/^\d+$/.test(text)) return new Date(Number(BigInt(text) / 1_000_000n));
  // The script may have been killed in between; then the mark `executed`, made just before, is the best that is known.
  try {
    const { mtime } = statSync(join(folder, 'executed'));
    const settled = existsSync(join(folder, 'completed')) || Date.now() - mtime.getTime() > 2000;
    return settled ? mtime : undefined;
  } catch {
    return undefined;
  }
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
  return {
    claim: readClaim(state.pod(podUid)).claim,
    containers: containers.map(describe),
    restoredAt: Math.max(0, ...restored) > 0 ? new Date(Math.max(...restored)) : undefined,
  };
}

function describe(container: TargetContainer): TargetContainerState {
  const { handler, failure } = container;
  const waiting = handler !== undefined && handler.alive && !container.attempted;
  return {
    name: container.name,
    waiting,
    waitLeft: waiting ? durationOf(Math.max(0, handler.deadline - uptimeSeconds()) * 1000) : undefined,
    staged: container.readyFor !== undefined,
    attempted: container.attempted,
    completed: container.executed,
    failed: failure !== undefined,
    failure: failure?.sentence ?? '',
    failureLog: logTail(failure?.log ?? ''),
  };
}

/** What a restore does next about a container. */
export type NextStep = 'prepare' | 'wait' | 'restored' | 'failed' | 'lost' | 'revoked';

/**
 * Decides from what lies on disk alone, so that it does not matter how often it is asked or by which agent process.
 * After the commit nothing is a failure any more: the kubelet tries again and the handler repeats the restore, as long as it
 * has not executed.
 */
export function nextStep(claim: Claim, container: TargetContainer): NextStep {
  if (claim === Claim.CLAIM_REVOKED) return 'revoked';
  if (container.restoredAt) return 'restored';
  if (container.executed) return 'wait';
  const committed = claim === Claim.CLAIM_COMMITTED;
  if (!committed && container.failure) return 'failed';
  if (!committed && container.attempted && !container.handler?.alive) return 'lost';
  const { handler } = container;
  if (handler?.alive && container.readyFor !== handler.containerId) return 'prepare';
  return 'wait';
}
