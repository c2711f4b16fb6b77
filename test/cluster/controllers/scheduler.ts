/** A tiny scheduler: puts every pod that has no node on the fitting node with the fewest pods. */
import { ApiError } from '../../../common/kube/api-error.js';
import { keyOf } from '../../../common/kube/list-watch.js';
import type { Node, Pod } from '../../../common/kube/types.js';
import { sameJson, type KubeObject } from '../apiserver/kube-object.js';
import type { Pod as PlacedPod } from '../apiserver/resources/pod-types.js';
import { timestamp } from '../apiserver/time.js';
import { isFinished } from '../workloads/pods.js';
import { whyNot } from './placement.js';
import type { ClusterController, ClusterShell } from './shell.js';

const name = 'default-scheduler';

function waitsForNode(pod: Pod): boolean {
  return (
    !pod.spec?.nodeName &&
    !pod.metadata.deletionTimestamp &&
    !pod.spec?.schedulingGates?.length &&
    (pod.spec?.schedulerName ?? name) === name &&
    !isFinished(pod)
  );
}

export function scheduler({ client, caches, events }: ClusterShell): ClusterController {
  /** Nodes of pods that were bound and are not yet seen to be, by key. */
  const assumed = new Map<string, string>();

  async function sync(key: string): Promise<void> {
    const pod = caches.pods.get(key);
    if (!pod || !waitsForNode(pod) || assumed.has(key)) return;
    const { node, reasons } = choose(pod, caches.nodes.list(), podsByNode());
    if (!node) return report(pod, reasons);
    await bind(pod, key, node);
  }

  function podsByNode(): Map<string, Pod[]> {
    const found = new Map<string, Pod[]>();
    for (const pod of caches.pods.list()) {
      const node = pod.spec?.nodeName ?? assumed.get(keyOf(pod));
      if (!node) continue;
      const pods = found.get(node);
      if (pods) pods.push(pod);
      else found.set(node, [pod]);
    }
    return found;
  }

  async function bind(pod: Pod, key: string, node: string): Promise<void> {
    const { name: podName, namespace, uid } = pod.metadata;
    assumed.set(key, node);
    try {
      await client.json('POST', `/api/v1/namespaces/${namespace}/pods/${podName}/binding`, {
        body: {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name: podName, namespace, uid },
          target: { apiVersion: 'v1', kind: 'Node', name: node },
        },
      });
    } catch (error) {
      assumed.delete(key);
      // Deleted, or bound by somebody else: its change brings it here again if need be.
      if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return;
      throw error;
    }
    tell(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${podName} to ${node}`);
  }

  async function report(pod: Pod, reasons: ReadonlyMap<string, number>): Promise<void> {
    const nodes = caches.nodes.list().length;
    const list = [...reasons].map(([reason, count]) => `${count} ${reason}`).sort();
    const message =
      nodes === 0
        ? 'no nodes available to schedule pods'
        : `0/${nodes} nodes are available: ${list.join(', ')}. preemption: not done by the local test cluster.`;
    const known = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    if (known?.reason === 'Unschedulable' && known.message === message) return;
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastProbeTime: null,
      lastTransitionTime: known?.status === 'False' ? known.lastTransitionTime : timestamp(),
    };
    const { name: podName, namespace, uid } = pod.metadata;
    const patch = { metadata: { uid }, status: { conditions: [condition] } };
    await client.pods.patch(podName, namespace, patch, { type: 'strategic', subresource: 'status' });
    tell(pod, 'Warning', 'FailedScheduling', message);
  }

  function tell(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string): void {
    events.tell(name, { ...pod, apiVersion: 'v1', kind: 'Pod' }, type, reason, message);
  }

  const waiting = (): string[] => caches.pods.list().filter(waitsForNode).map(keyOf);

  return {
    name,
    // One after the other: each decision counts on those before.
    workers: 1,
    sync,
    keysOf({ kind, object, old }) {
      if (kind === 'Node') return waiting();
      if (kind !== 'Pod') return [];
      const [pod, before] = [object as Pod | undefined, old as Pod | undefined];
      const key = keyOf((pod ?? before)!);
      if (!pod || pod.spec?.nodeName) assumed.delete(key);
      // A node has room again.
      if (!pod || (before && isFinished(pod) !== isFinished(before))) return waiting();
      // Its own "unschedulable" is no reason to look again.
      return waitsForNode(pod) && !(before && sameJson(pod.spec, before.spec)) ? [key] : [];
    },
  };
}

/** The fitting node with the fewest pods; without one, why not, with the number of nodes for each reason. */
function choose(
  pod: Pod,
  nodes: readonly Node[],
  byNode: ReadonlyMap<string, Pod[]>,
): { node?: string; reasons: Map<string, number> } {
  const reasons = new Map<string, number>();
  let best: { name: string; count: number } | undefined;
  for (const node of nodes) {
    const pods = byNode.get(node.metadata.name) ?? [];
    const reason = whyNot(pod as PlacedPod, node as KubeObject, pods as PlacedPod[]);
    if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    else if (!best || pods.length < best.count) best = { name: node.metadata.name, count: pods.length };
  }
  return best ? { node: best.name, reasons } : { reasons };
}
