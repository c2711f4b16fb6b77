/**
 * Notices nodes that no longer report, taints them, marks their pods as not ready and evicts those that do not
 * tolerate it (kubernetes.io: "Nodes", node controller). A node reports by renewing its Lease or by writing its
 * status; when it last did is judged by our own clock.
 */
import { guarded, inBackground } from './background.js';
import { builtinResource, systemContext, type Api } from '../api.js';
import { at, listOf, type Fields, type KubeObject } from '../kube-object.js';
import type { Condition, Pod, Taint } from '../resources/pod-types.js';
import { withCondition } from '../subresources/binding.js';
import { timestamp } from '../time.js';
import { deleteObject } from '../verbs/delete.js';
import { recordEvent } from './events.js';
import { covers } from './placement.js';

const component = 'node-controller';
const checkIntervalMs = 1000;

const notReady = 'node.kubernetes.io/not-ready';
const unreachable = 'node.kubernetes.io/unreachable';
const unschedulable = 'node.kubernetes.io/unschedulable';

/** What becomes unknown when the kubelet is silent. */
const kubeletConditions = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

export interface NodeLifecycleOptions {
  /** How long a node may be silent. Default 40 s, as in kube-controller-manager. */
  gracePeriodMs?: number;
}

interface Heard {
  leaseRenewal: unknown;
  heartbeat: unknown;
  atMs: number;
}

export function runNodeLifecycle(api: Api, options: NodeLifecycleOptions = {}): () => void {
  const gracePeriodMs = options.gracePeriodMs ?? 40_000;
  const heard = new Map<string, Heard>();

  const check = () => {
    const now = Date.now();
    for (const node of [...api.store.list('/nodes')]) {
      const silentMs = now - lastHeard(api, heard, node, now);
      if (silentMs > gracePeriodMs && readiness(node) !== 'Unknown') markUnknown(api, node);
    }
    evictPods(api, now);
  };
  const timer = setInterval(guarded('nodes', check), Math.min(checkIntervalMs, gracePeriodMs));
  timer.unref();

  const react = (node: KubeObject) => setTaints(api, node);
  for (const node of [...api.store.list('/nodes')]) react(node);
  const unsubscribe = api.store.subscribe('/nodes', ({ type, object, previous }) => {
    if (type === 'DELETED') {
      heard.delete(object.metadata.name);
      inBackground('nodes', () => deletePodsOf(api, object.metadata.name));
      return;
    }
    // In its own turn: whoever writes the node gets its own version back first.
    inBackground('nodes', () => {
      const current = api.store.get('/nodes', undefined, object.metadata.name);
      if (current) react(current);
    });
    if (readiness(object) !== 'True' && previous && readiness(previous) === 'True') {
      inBackground('nodes', () => markPodsNotReady(api, object.metadata.name));
    }
  });
  return () => {
    unsubscribe();
    clearInterval(timer);
  };
}

function lastHeard(api: Api, heard: Map<string, Heard>, node: KubeObject, now: number): number {
  const { name } = node.metadata;
  const lease = api.store.get('coordination.k8s.io/leases', 'kube-node-lease', name);
  const leaseRenewal = at(lease?.spec, 'renewTime');
  const ready = condition(node, 'Ready');
  const heartbeat = ready?.status === 'Unknown' ? undefined : ready?.['lastHeartbeatTime'];
  const known = heard.get(name);
  if (
    known &&
    known.leaseRenewal === leaseRenewal &&
    (heartbeat === undefined || known.heartbeat === heartbeat)
  ) {
    return known.atMs;
  }
  heard.set(name, { leaseRenewal, heartbeat, atMs: now });
  return now;
}

function condition(node: KubeObject, type: string): Condition | undefined {
  return (listOf(at(node.status, 'conditions')) as Condition[]).find((one) => one.type === type);
}

function readiness(node: KubeObject): string {
  return condition(node, 'Ready')?.status ?? 'Unset';
}

function markUnknown(api: Api, node: KubeObject): void {
  let conditions = listOf(at(node.status, 'conditions')) as Condition[];
  for (const type of kubeletConditions) {
    if (type !== 'Ready' && !condition(node, type)) continue;
    conditions = withCondition(conditions, {
      ...condition(node, type),
      type,
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message: 'Kubelet stopped posting node status.',
      lastTransitionTime: timestamp(),
    });
  }
  const stored = api.store.put('/nodes', { ...node, status: { ...(node.status as Fields), conditions } });
  recordEvent(api, component, stored, {
    type: 'Normal',
    reason: 'NodeNotReady',
    message: `Node ${node.metadata.name} status is now: NodeNotReady`,
  });
}

/** The taints that follow from a node's condition and spec. */
function setTaints(api: Api, node: KubeObject): void {
  const ready = readiness(node);
  const wanted: Taint[] = [];
  const add = (key: string, effects: string[]) => effects.forEach((effect) => wanted.push({ key, effect }));
  if (ready === 'Unknown') add(unreachable, ['NoSchedule', 'NoExecute']);
  if (ready === 'False' || ready === 'Unset')
    add(notReady, ['NoSchedule', ...(ready === 'False' ? ['NoExecute'] : [])]);
  if (at(node.spec, 'unschedulable') === true) add(unschedulable, ['NoSchedule']);

  const ours = new Set([notReady, unreachable, unschedulable]);
  const current = listOf(at(node.spec, 'taints')) as Taint[];
  const isWanted = (taint: Taint) =>
    !ours.has(taint.key) || wanted.some((one) => one.key === taint.key && one.effect === taint.effect);
  const missing = wanted.filter(
    (one) => !current.some((taint) => taint.key === one.key && taint.effect === one.effect),
  );
  if (missing.length === 0 && current.every(isWanted)) return;
  const taints = [
    ...current.filter(isWanted),
    ...missing.map((taint) => ({ ...taint, timeAdded: timestamp() })),
  ];
  const { taints: _old, ...spec } = (node.spec ?? {}) as Fields;
  api.store.put('/nodes', { ...node, spec: { ...spec, ...(taints.length > 0 ? { taints } : {}) } });
}

function podsOf(api: Api, node: string): Pod[] {
  return ([...api.store.list('/pods')] as Pod[]).filter((pod) => pod.spec.nodeName === node);
}

function markPodsNotReady(api: Api, node: string): void {
  for (const pod of podsOf(api, node)) {
    const ready = pod.status?.conditions?.find((one) => one.type === 'Ready');
    if (ready?.status !== 'True') continue;
    const { reason: _reason, message: _message, ...rest } = ready;
    const stored = api.store.put('/pods', {
      ...pod,
      status: {
        ...pod.status,
        conditions: withCondition(pod.status!.conditions!, {
          ...rest,
          status: 'False',
          lastTransitionTime: timestamp(),
        }),
      },
    } as KubeObject);
    recordEvent(api, component, stored, {
      type: 'Warning',
      reason: 'NodeNotReady',
      message: 'Node is not ready',
    });
  }
}

/** Pods of a node that is gone go with it: nobody will ever report their end. */
function deletePodsOf(api: Api, node: string): void {
  if (api.store.get('/nodes', undefined, node)) return;
  for (const pod of podsOf(api, node)) remove(api, pod, 0);
}

/** Deletes pods from nodes with a NoExecute taint that they do not tolerate, or no longer. */
function evictPods(api: Api, now: number): void {
  for (const node of api.store.list('/nodes')) {
    const taints = (listOf(at(node.spec, 'taints')) as Taint[]).filter(
      (taint) => taint.effect === 'NoExecute',
    );
    if (taints.length === 0) continue;
    for (const pod of podsOf(api, node.metadata.name)) {
      if (!pod.metadata.deletionTimestamp && taints.some((taint) => isOverdue(pod, taint, now))) {
        recordEvent(api, 'taint-eviction-controller', pod, {
          type: 'Normal',
          reason: 'TaintManagerEviction',
          message: `Marking for deletion Pod ${pod.metadata.namespace}/${pod.metadata.name}`,
        });
        remove(api, pod, undefined);
      }
    }
  }
}

function isOverdue(pod: Pod, taint: Taint, now: number): boolean {
  const tolerations = (pod.spec.tolerations ?? []).filter((toleration) => covers(toleration, taint));
  if (tolerations.length === 0) return true;
  const limits = tolerations.flatMap(({ tolerationSeconds }) => tolerationSeconds ?? []);
  if (limits.length === 0) return false;
  const since = taint.timeAdded ? Date.parse(taint.timeAdded) : now;
  return now - since > Math.min(...limits) * 1000;
}

function remove(api: Api, pod: Pod, gracePeriodSeconds: number | undefined): void {
  deleteObject(
    api,
    builtinResource(api, '/pods'),
    pod.metadata.namespace,
    pod.metadata.name,
    {
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      preconditions: { uid: pod.metadata.uid! },
    },
    systemContext(component),
  );
}
