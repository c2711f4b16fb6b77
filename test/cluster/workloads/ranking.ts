/** Which pods go first when there are too many (k8s.io/kubernetes/pkg/controller, ActivePodsWithRanks). */
import type { Pod } from '../../../common/kube/types.js';
import { isReady, readySince, restartsOf } from './pods.js';

const deletionCost = 'controller.kubernetes.io/pod-deletion-cost';

/**
 * The first `count` pods to delete. `related` are the active pods of the same kind of work (those of all ReplicaSets of
 * a Deployment): of two equal pods, the one on the fuller node goes first.
 */
export function podsToDelete(pods: Pod[], related: Pod[], count: number, nowMs: number): Pod[] {
  if (count >= pods.length) return pods;
  const onNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec?.nodeName ?? '';
    onNode.set(node, (onNode.get(node) ?? 0) + 1);
  }
  const rank = (pod: Pod): number => onNode.get(pod.spec?.nodeName ?? '') ?? 0;
  return [...pods].sort((a, b) => compare(a, b, rank, nowMs)).slice(0, count);
}

const phases: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };

/** Negative when `a` goes before `b`. */
function compare(a: Pod, b: Pod, rank: (pod: Pod) => number, nowMs: number): number {
  const order = [
    // Without a node before with one; pending before unknown before running; not ready before ready.
    Number(Boolean(a.spec?.nodeName)) - Number(Boolean(b.spec?.nodeName)),
    (phases[a.status?.phase ?? ''] ?? 0) - (phases[b.status?.phase ?? ''] ?? 0),
    Number(isReady(a)) - Number(isReady(b)),
    cost(a) - cost(b),
    rank(b) - rank(a),
    // Ready for a shorter time first, in powers of ten: of about equal ones chance decides.
    isReady(a) && isReady(b) ? ageRank(readySince(a), nowMs) - ageRank(readySince(b), nowMs) : 0,
    restartsOf(b) - restartsOf(a),
    ageRank(a.metadata.creationTimestamp, nowMs) - ageRank(b.metadata.creationTimestamp, nowMs),
  ];
  return order.find((difference) => difference !== 0) ?? compareUid(a, b);
}

function cost(pod: Pod): number {
  const value = Number(pod.metadata.annotations?.[deletionCost] ?? 0);
  return Number.isInteger(value) ? value : 0;
}

function ageRank(since: string | undefined, nowMs: number): number {
  if (since === undefined) return 0;
  // The real one takes the logarithm (base 10) of the age in nanoseconds.
  return Math.floor(Math.log10(Math.max(1, (nowMs - Date.parse(since)) * 1e6)));
}

function compareUid(a: Pod, b: Pod): number {
  return (a.metadata.uid ?? '') < (b.metadata.uid ?? '') ? -1 : 1;
}
