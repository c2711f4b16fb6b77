/** A tiny scheduler: puts every pod that has no node on the fitting node with the fewest pods. */
import { inBackground } from './background.js';
import { builtinResource, type Api } from '../api.js';
import type { KubeObject } from '../kube-object.js';
import type { Pod } from '../resources/pod-types.js';
import { bindPod, withCondition } from '../subresources/binding.js';
import { recordEvent } from './events.js';
import { whyNot } from './placement.js';

const name = 'default-scheduler';

function waitsForNode(object: KubeObject): boolean {
  const pod = object as Pod;
  return (
    !pod.spec.nodeName &&
    !pod.metadata.deletionTimestamp &&
    !pod.spec.schedulingGates?.length &&
    (pod.spec.schedulerName ?? name) === name &&
    pod.status?.phase !== 'Succeeded' &&
    pod.status?.phase !== 'Failed'
  );
}

export function runScheduler(api: Api): () => void {
  /** Pods to look at, by key. They are kept while nothing fits, until a node or a pod changes. */
  const waiting = new Map<string, { namespace: string | undefined; name: string }>();
  let scheduled: NodeJS.Immediate | undefined;
  const add = (pod: KubeObject) =>
    waiting.set(`${pod.metadata.namespace}/${pod.metadata.name}`, {
      namespace: pod.metadata.namespace,
      name: pod.metadata.name,
    });
  const later = () => {
    scheduled ??= inBackground('scheduler', () => {
      scheduled = undefined;
      schedule(api, waiting);
    });
  };
  for (const pod of api.store.list('/pods')) if (waitsForNode(pod)) add(pod);
  if (waiting.size > 0) later();
  const endPods = api.store.subscribe('/pods', ({ type, object, previous }) => {
    if (type !== 'DELETED' && waitsForNode(object)) {
      add(object);
      // Its own "unschedulable" is no reason to look again.
      if (object.spec !== previous?.spec || type === 'ADDED') later();
    } else if (waiting.size > 0 && (type === 'DELETED' || isOver(object) !== isOver(previous))) {
      later();
    }
  });
  const endNodes = api.store.subscribe('/nodes', () => {
    if (waiting.size > 0) later();
  });
  return () => {
    endPods();
    endNodes();
    clearImmediate(scheduled);
  };
}

function isOver(object: KubeObject | undefined): boolean {
  const phase = (object as Pod | undefined)?.status?.phase;
  return phase === 'Succeeded' || phase === 'Failed';
}

function schedule(api: Api, waiting: Map<string, { namespace: string | undefined; name: string }>): void {
  const nodes = [...api.store.list('/nodes')];
  const byNode = new Map<string, Pod[]>(nodes.map((node) => [node.metadata.name, []]));
  for (const object of api.store.list('/pods')) {
    const pod = object as Pod;
    if (pod.spec.nodeName) byNode.get(pod.spec.nodeName)?.push(pod);
  }
  for (const [key, { namespace, name: podName }] of waiting) {
    const pod = api.store.get('/pods', namespace, podName) as Pod | undefined;
    if (!pod || !waitsForNode(pod)) {
      waiting.delete(key);
      continue;
    }
    const reasons = new Map<string, number>();
    const fitting = nodes.filter((node) => {
      const reason = whyNot(pod, node, byNode.get(node.metadata.name)!);
      if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      return reason === undefined;
    });
    const chosen = fitting.sort(
      (a, b) => byNode.get(a.metadata.name)!.length - byNode.get(b.metadata.name)!.length,
    )[0];
    if (!chosen) {
      reportUnschedulable(api, pod, nodes.length, reasons);
      continue;
    }
    waiting.delete(key);
    const bound = bindPod(
      api,
      builtinResource(api, '/pods'),
      namespace,
      podName,
      chosen.metadata.name,
    ) as Pod;
    byNode.get(chosen.metadata.name)!.push(bound);
    recordEvent(api, name, bound, {
      type: 'Normal',
      reason: 'Scheduled',
      message: `Successfully assigned ${namespace}/${podName} to ${chosen.metadata.name}`,
    });
  }
}

function reportUnschedulable(api: Api, pod: Pod, nodeCount: number, reasons: Map<string, number>): void {
  const message =
    nodeCount === 0
      ? 'no nodes available to schedule pods'
      : `0/${nodeCount} nodes are available: ${[...reasons]
          .map(([reason, count]) => `${count} ${reason}`)
          .sort()
          .join(', ')}. preemption: not done by the local test cluster.`;
  const known = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
  if (known?.reason === 'Unschedulable' && known.message === message) return;
  const stored = api.store.put('/pods', {
    ...pod,
    status: {
      ...pod.status,
      conditions: withCondition(pod.status?.conditions ?? [], {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message,
      }),
    },
  } as KubeObject);
  recordEvent(api, name, stored, { type: 'Warning', reason: 'FailedScheduling', message });
}
