/**
 * Which finished checkpoints are not kept any longer: those whose own time is over (spec.ttlSecondsAfterFinished), and of the
 * others the oldest where there are more than the limits allow. Pure.
 *
 * Never one that is in use. The limits touch neither failed checkpoints, which hold nothing, nor those whose content says
 * Retain: somebody has decided that these stay. They count for nothing then.
 */
import type { CheckpointKind } from './kinds.js';

/** 0: no limit. */
export interface Limits {
  perPod: number;
  perNamespace: number;
  totalBytes: number;
}

export const NO_LIMITS: Limits = { perPod: 0, perNamespace: 0, totalBytes: 0 };

export interface Finished {
  kind: CheckpointKind;
  namespace: string;
  name: string;
  uid: string;
  podName: string;
  phase: 'Succeeded' | 'Failed';
  /** Milliseconds since the epoch. */
  finishedAt: number;
  sizeBytes: number;
  ttlSeconds?: number;
  /** Its content says Retain. */
  retained: boolean;
  inUse: boolean;
}

export interface Removal {
  checkpoint: Finished;
  reason: 'TTLExpired' | 'Retention';
  /** Why, to be read after "Checkpoint … was removed: ". */
  why: string;
}

export interface Verdict {
  remove: Removal[];
  /** When the next one's own time is over, in milliseconds since the epoch. */
  nextAt: number | undefined;
}

/** One that is in use is looked at again after so long. */
const IN_USE_MS = 2000;

export function retention(all: readonly Finished[], limits: Limits, now: number): Verdict {
  const remove: Removal[] = [];
  const ends: number[] = [];
  let left: Finished[] = [];
  for (const checkpoint of [...all].sort(oldestFirst)) {
    const end = endOf(checkpoint);
    if (end === undefined || end > now) {
      if (end !== undefined) ends.push(end);
      left.push(checkpoint);
    } else if (checkpoint.inUse) {
      ends.push(now + IN_USE_MS);
      left.push(checkpoint);
    } else {
      const why = `its time after the end, ${checkpoint.ttlSeconds} s, is over.`;
      remove.push({ checkpoint, reason: 'TTLExpired', why });
    }
  }
  left = left.filter(({ phase, retained }) => phase === 'Succeeded' && !retained);
  const count = () => 1;
  const apply = (
    limit: number,
    group: (one: Finished) => string,
    weight: (one: Finished) => number,
    why: string,
  ) => {
    if (limit <= 0) return;
    const gone = beyond(left, limit, group, weight);
    if (excess(left, gone, limit, group, weight)) ends.push(now + IN_USE_MS);
    left = left.filter((one) => !gone.has(one));
    for (const checkpoint of gone) remove.push({ checkpoint, reason: 'Retention', why });
  };
  apply(
    limits.perPod,
    ({ namespace, podName }) => `${namespace}/${podName}`,
    count,
    `of a pod ${limits.perPod} are kept.`,
  );
  apply(
    limits.perNamespace,
    ({ namespace }) => namespace,
    count,
    `of a namespace ${limits.perNamespace} are kept.`,
  );
  apply(
    limits.totalBytes,
    () => '',
    ({ sizeBytes }) => sizeBytes,
    `all together may have ${limits.totalBytes} bytes.`,
  );
  return { remove, nextAt: ends.length > 0 ? Math.min(...ends) : undefined };
}

/** The oldest of each group that have to go for the others to be within the limit. `list` is sorted, oldest first. */
function beyond(
  list: readonly Finished[],
  limit: number,
  group: (one: Finished) => string,
  weight: (one: Finished) => number,
): Set<Finished> {
  const sums = sumsOf(list, group, weight);
  const gone = new Set<Finished>();
  for (const one of list) {
    const sum = sums.get(group(one))!;
    if (sum <= limit || one.inUse) continue;
    gone.add(one);
    sums.set(group(one), sum - weight(one));
  }
  return gone;
}

/** True when what is in use keeps a group above its limit. */
function excess(
  list: readonly Finished[],
  gone: ReadonlySet<Finished>,
  limit: number,
  group: (one: Finished) => string,
  weight: (one: Finished) => number,
): boolean {
  const kept = list.filter((one) => !gone.has(one));
  return [...sumsOf(kept, group, weight).values()].some((sum) => sum > limit);
}

function sumsOf(
  list: readonly Finished[],
  group: (one: Finished) => string,
  weight: (one: Finished) => number,
): Map<string, number> {
  const sums = new Map<string, number>();
  for (const one of list) sums.set(group(one), (sums.get(group(one)) ?? 0) + weight(one));
  return sums;
}

function endOf({ finishedAt, ttlSeconds }: Finished): number | undefined {
  return ttlSeconds === undefined ? undefined : finishedAt + ttlSeconds * 1000;
}

function oldestFirst(a: Finished, b: Finished): number {
  return a.finishedAt - b.finishedAt || (a.uid < b.uid ? -1 : 1);
}
