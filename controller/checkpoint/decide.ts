/**
 * What a user's own checkpoint (PodCheckpoint or ContainerCheckpoint that no migration has made) needs next: the pod runs on
 * afterwards. Pure.
 */
import type { ContainerCheckpoint } from '../../common/api/schema.js';
import type { CheckpointResult } from '../../proto/gen/lpm/v1/agent.js';
import { onlyPassing, refusal, type Refusal } from '../migration/facts.js';
import type { Operation } from '../migration/observed.js';
import { isPodCheckpoint, kindOf, type Checkpoint } from './kinds.js';
import { asRefusal, checkpointRefusals, type CheckpointFacts } from './refusals.js';
import { turnOf, type Turn } from './turn.js';

/** Where archives can be taken in. */
export interface ImportFacts {
  place?: { node: string; agentPod: string };
  /** Why there is no place; empty when there is one. */
  problem: string;
}

export interface CheckpointObserved {
  now: number;
  checkpoint: Checkpoint;
  /** The ContainerCheckpoints of a PodCheckpoint as they stand; of a ContainerCheckpoint itself. */
  members: ContainerCheckpoint[];
  /** Collected in phase Pending. */
  facts?: CheckpointFacts;
  importFacts?: ImportFacts;
  /** What is known of the call for turnOf(checkpoint, members). */
  operation: Operation<CheckpointResult>;
}

export type CheckpointDecision =
  | { do: 'fail'; refusal: Refusal }
  | { do: 'wait'; message: string; afterMs: number }
  /** Record that it runs. */
  | { do: 'begin' }
  /** Ask the agent, for the first time in this process or again; it does it once. */
  | { do: 'ask'; turn: Turn }
  /** It is being done: look again when something is reported, at the latest after so long. */
  | { do: 'watch'; afterMs: number }
  /** Bind what the agent has made. */
  | { do: 'keep'; turn: Turn; result: CheckpointResult }
  /** Every container has its content: bind the whole. */
  | { do: 'succeed' }
  | { do: 'nothing' };

/** A lost connection is taken up again for so long: the pod runs on in any case. */
const REJOIN_MS = 120_000;
const DEFAULT_TIMEOUT_SECONDS = 600;
const MAX_WAIT_MS = 60_000;

export function decideCheckpoint(observed: CheckpointObserved): CheckpointDecision {
  const phase = observed.checkpoint.status?.phase ?? 'Pending';
  switch (phase) {
    case 'Pending':
      return pending(observed);
    case 'Running':
      return running(observed);
    case 'Succeeded':
    case 'Failed':
      return { do: 'nothing' };
    default:
      return phase satisfies never;
  }
}

function pending({ facts, importFacts, checkpoint, now }: CheckpointObserved): CheckpointDecision {
  if (checkpoint.spec.import) return pendingImport(checkpoint, importFacts, now);
  if (!facts) return { do: 'wait', message: 'Looking at the pod.', afterMs: 100 };
  // First: a migration that is just moving the pod leaves another one behind, or none.
  if (facts.busyWith) return waiting(checkpoint, `Waits for ${facts.busyWith}.`, now);
  const refusals = checkpointRefusals(facts);
  const [first] = refusals;
  if (first && onlyPassing(refusals)) return waiting(checkpoint, first.message, now);
  if (first) return { do: 'fail', refusal: first };
  return { do: 'begin' };
}

function pendingImport(
  checkpoint: Checkpoint,
  facts: ImportFacts | undefined,
  now: number,
): CheckpointDecision {
  const { archives } = checkpoint.spec.import!;
  if (!isPodCheckpoint(checkpoint)) {
    const { containerName } = checkpoint.spec as ContainerCheckpoint['spec'];
    if (archives.length !== 1 || archives[0]!.containerName !== containerName) {
      return {
        do: 'fail',
        refusal: refusal(
          'InvalidArgument',
          `ContainerCheckpoint ${checkpoint.metadata.name} takes in the one archive of container ${containerName}, not ${archives.map((each) => each.containerName).join(', ')}.`,
          'Import several archives with a PodCheckpoint.',
        ),
      };
    }
  }
  if (!facts) return { do: 'wait', message: 'Looking for an agent that takes it in.', afterMs: 100 };
  return facts.place ? { do: 'begin' } : waiting(checkpoint, facts.problem, now);
}

/** Waits for something that may pass, but not for ever. */
function waiting(checkpoint: Checkpoint, message: string, now: number): CheckpointDecision {
  return isOver(checkpoint, now)
    ? { do: 'fail', refusal: timedOut(checkpoint, message) }
    : { do: 'wait', message, afterMs: 1000 };
}

function running({ checkpoint, members, operation, now }: CheckpointObserved): CheckpointDecision {
  const missing = missingMember(checkpoint, members);
  if (missing) {
    return {
      do: 'fail',
      refusal: refusal(
        'Canceled',
        `ContainerCheckpoint ${missing} was deleted while ${kindOf(checkpoint)} ${checkpoint.metadata.name} was being taken.`,
        'Take another checkpoint.',
      ),
    };
  }
  const failed = members.find(({ status }) => status?.phase === 'Failed');
  if (failed) {
    return {
      do: 'fail',
      refusal: {
        reason: (failed.status?.reason ?? 'Internal') as Refusal['reason'],
        message: failed.status?.message ?? `ContainerCheckpoint ${failed.metadata.name} failed.`,
        hint: '',
      },
    };
  }
  const turn = turnOf(checkpoint, members);
  if (!turn) return { do: 'succeed' };
  // What is done counts, however long it took.
  if (operation.state === 'done') return { do: 'keep', turn, result: operation.value };
  if (isOver(checkpoint, now)) {
    return {
      do: 'fail',
      refusal: timedOut(checkpoint, operation.state === 'failed' ? operation.failure.message : ''),
    };
  }
  switch (operation.state) {
    case 'none':
      return { do: 'ask', turn };
    case 'running':
      return { do: 'watch', afterMs: leftMs(checkpoint, now) };
    case 'failed': {
      const { failure, at, firstAt, attempts } = operation;
      if (!failure.retryable || now - firstAt > REJOIN_MS) return { do: 'fail', refusal: asRefusal(failure) };
      const wait = at + Math.min(10_000, 200 * 2 ** attempts) - now;
      return wait > 0 ? { do: 'wait', message: failure.message, afterMs: wait } : { do: 'ask', turn };
    }
    default:
      return operation satisfies never;
  }
}

function missingMember(checkpoint: Checkpoint, members: ContainerCheckpoint[]): string | undefined {
  if (!isPodCheckpoint(checkpoint)) return undefined;
  const there = new Set(members.map(({ metadata }) => metadata.name));
  return (checkpoint.status?.containerCheckpoints ?? []).find((name) => !there.has(name));
}

function timedOut({ metadata, spec }: Checkpoint, why: string): Refusal {
  return refusal(
    'TimedOut',
    `Checkpoint ${metadata.name} was given up after ${spec.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS} s.${why ? ` ${why}` : ''}`,
    'Give it more time with spec.timeoutSeconds.',
  );
}

function isOver(checkpoint: Checkpoint, now: number): boolean {
  return now >= deadline(checkpoint);
}

function leftMs(checkpoint: Checkpoint, now: number): number {
  return Math.max(10, Math.min(MAX_WAIT_MS, deadline(checkpoint) - now));
}

/** Milliseconds since the epoch. What waits is given as much time as what is worked on. */
export function deadline({ metadata, spec, status }: Checkpoint): number {
  const since = Date.parse(status?.startTime ?? metadata.creationTimestamp ?? '');
  return since + (spec.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS) * 1000;
}
