/** What follows from the state of a node for its taints, and from its taints for its pods: the pure part of node-lifecycle.ts. */
import type { Node, Pod } from '../../../common/kube/types.js';
import { timestamp } from '../apiserver/time.js';
import { covers } from './placement.js';

export type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];
export type Readiness = 'True' | 'False' | 'Unknown' | 'Unset';

const notReady = 'node.kubernetes.io/not-ready';
const unreachable = 'node.kubernetes.io/unreachable';
const unschedulable = 'node.kubernetes.io/unschedulable';
const ours = new Set([notReady, unreachable, unschedulable]);

export function readiness(node: Node): Readiness {
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  return (ready?.status as Readiness | undefined) ?? 'Unset';
}

function wantedTaints(node: Node): Taint[] {
  const state = readiness(node);
  const wanted: Taint[] = [];
  const add = (key: string, ...effects: string[]): void =>
    effects.forEach((effect) => wanted.push({ key, effect }));
  if (state === 'Unknown') add(unreachable, 'NoSchedule', 'NoExecute');
  if (state === 'False') add(notReady, 'NoSchedule', 'NoExecute');
  if (state === 'Unset') add(notReady, 'NoSchedule');
  if (node.spec?.unschedulable) add(unschedulable, 'NoSchedule');
  return wanted;
}

/** The taints that the node should have; undefined when it has them. */
export function changedTaints(node: Node, nowMs: number): Taint[] | undefined {
  const wanted = wantedTaints(node);
  const current = node.spec?.taints ?? [];
  const same = (a: Taint, b: Taint): boolean => a.key === b.key && a.effect === b.effect;
  const kept = current.filter((taint) => !ours.has(taint.key) || wanted.some((one) => same(one, taint)));
  const missing = wanted.filter((one) => !current.some((taint) => same(one, taint)));
  if (missing.length === 0 && kept.length === current.length) return undefined;
  return [...kept, ...missing.map((taint) => ({ ...taint, timeAdded: timestamp(nowMs) }))];
}

/** Whether a pod has to leave a node with these taints, now. */
export function mustLeave(pod: Pod, taints: readonly Taint[], nowMs: number): boolean {
  return taints.some((taint) => taint.effect === 'NoExecute' && isOverdue(pod, taint, nowMs));
}

function isOverdue(pod: Pod, taint: Taint, nowMs: number): boolean {
  const tolerations = (pod.spec?.tolerations ?? []).filter((toleration) => covers(toleration, taint));
  if (tolerations.length === 0) return true;
  const limits = tolerations.flatMap(({ tolerationSeconds }) => tolerationSeconds ?? []);
  if (limits.length === 0) return false;
  const since = taint.timeAdded ? Date.parse(taint.timeAdded) : nowMs;
  return nowMs - since > Math.min(...limits) * 1000;
}
