/** Which nodes a DaemonSet's pods belong on: pure. Follows daemon_controller.go and update.go; no surge. */
import type { Node, Pod } from '../../../common/kube/types.js';
import { matchesSelector, tolerates } from '../controllers/placement.js';
import type { Taint } from '../apiserver/resources/pod-types.js';
import { scaledValue } from './deployment-bounds.js';
import { isAvailable, isEnding, isFinished, isReady } from './pods.js';
import type { DaemonSet } from './types.js';

export interface DaemonSetDecision {
  /** Names of nodes. */
  create: string[];
  delete: Pod[];
  status: NonNullable<DaemonSet['status']>;
}

export const hashLabel = 'controller-revision-hash';

/** What every daemon bears: a node's troubles are what it is there for. */
export const daemonTolerations = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];

/** The node that a daemon pod is bound to or is made for. */
export function nodeOf(pod: Pod): string | undefined {
  if (pod.spec?.nodeName) return pod.spec.nodeName;
  const terms =
    pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms.flatMap(({ matchFields = [] }) => matchFields).find(({ key }) => key === 'metadata.name')
    ?.values?.[0];
}

/** `run`: a pod is to be made; `stay`: one that is there may go on. */
export function fit(set: DaemonSet, node: Node): { run: boolean; stay: boolean } {
  const spec = set.spec!.template.spec!;
  const pod = {
    spec: { ...spec, tolerations: [...(spec.tolerations ?? []), ...daemonTolerations] },
  } as never;
  if (!matchesSelector(pod, node as never)) return { run: false, stay: false };
  const repelled = ((node.spec?.taints ?? []) as Taint[]).filter(
    (taint) => taint.effect !== 'PreferNoSchedule' && !tolerates(pod, taint),
  );
  return { run: repelled.length === 0, stay: !repelled.some(({ effect }) => effect === 'NoExecute') };
}

export function decideDaemonSet(
  set: DaemonSet,
  nodes: Node[],
  pods: Pod[],
  hash: string,
  nowMs: number,
): DaemonSetDecision {
  const minReadySeconds = set.spec?.minReadySeconds ?? 0;
  const onNode = new Map<string, Pod[]>();
  for (const pod of pods) {
    const node = nodeOf(pod) ?? '';
    onNode.set(node, [...(onNode.get(node) ?? []), pod]);
  }
  const decision: Omit<DaemonSetDecision, 'status'> = { create: [], delete: [] };
  const wanted = nodes.filter((node) => fit(set, node).run);
  let misscheduled = 0;
  for (const node of nodes) {
    const { name } = node.metadata;
    const here = onNode.get(name) ?? [];
    const { run, stay } = fit(set, node);
    if (!run && here.length > 0) misscheduled++;
    if (!stay) {
      decision.delete.push(...here.filter((pod) => !isEnding(pod)));
    } else if (run) {
      const failed = here.filter((pod) => isFinished(pod) && !isEnding(pod));
      const alive = here.filter((pod) => !isFinished(pod)).sort(byAge);
      decision.delete.push(...failed, ...alive.filter((pod) => !isEnding(pod)).slice(1));
      if (here.length === 0) decision.create.push(name);
    }
  }
  const isNew = (pod: Pod): boolean => pod.metadata.labels?.[hashLabel] === hash;
  if (
    decision.create.length + decision.delete.length === 0 &&
    set.spec?.updateStrategy?.type !== 'OnDelete'
  ) {
    decision.delete.push(...outdated(set, wanted, onNode, isNew, nowMs));
  }
  // Of several pods on a node the oldest counts.
  const first = wanted.flatMap(({ metadata }) => (onNode.get(metadata.name) ?? []).sort(byAge).slice(0, 1));
  const available = first.filter((pod) => isAvailable(pod, minReadySeconds, nowMs)).length;
  const positive = {
    updatedNumberScheduled: first.filter(isNew).length,
    numberAvailable: available,
    numberUnavailable: wanted.length - available,
  };
  const status = {
    observedGeneration: set.metadata.generation!,
    currentNumberScheduled: first.length,
    desiredNumberScheduled: wanted.length,
    numberMisscheduled: misscheduled,
    numberReady: first.filter(isReady).length,
    // The API leaves out these counts when they are 0.
    ...Object.fromEntries(Object.entries(positive).filter(([, count]) => count > 0)),
  };
  return { ...decision, status };
}

/** Old pods that a rolling update may delete now: those that are down anyway, and others as far as it is allowed. */
function outdated(
  set: DaemonSet,
  wanted: Node[],
  onNode: Map<string, Pod[]>,
  isNew: (pod: Pod) => boolean,
  nowMs: number,
): Pod[] {
  const max = scaledValue(
    set.spec?.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1,
    wanted.length,
    Math.ceil,
  );
  const down: Pod[] = [];
  const candidates: Pod[] = [];
  let unavailable = 0;
  for (const { metadata } of wanted) {
    const pod = (onNode.get(metadata.name) ?? []).find((one) => !isEnding(one));
    const isUp = pod !== undefined && isAvailable(pod, set.spec?.minReadySeconds ?? 0, nowMs);
    if (!isUp) unavailable++;
    if (pod && !isNew(pod)) (isUp ? candidates : down).push(pod);
  }
  return [...down, ...candidates.slice(0, Math.max(0, max - unavailable))];
}

function byAge(a: Pod, b: Pod): number {
  return Date.parse(a.metadata.creationTimestamp ?? '') - Date.parse(b.metadata.creationTimestamp ?? '');
}
