/**
 * Notices nodes that no longer report, taints them, marks their pods as not ready and evicts those that do not
 * tolerate it (kubernetes.io: "Nodes", node controller). A node reports by renewing its Lease or by writing its
 * status; when it last did is judged by our own clock.
 */
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeObject, Node, Pod } from '../../../common/kube/types.js';
import type { Requeue } from '../../../controller/queue.js';
import { timestamp } from '../apiserver/time.js';
import { changedTaints, mustLeave, readiness, type Readiness } from './node-taints.js';
import type { ClusterController, ClusterShell } from './shell.js';

const component = 'node-controller';
const checkIntervalMs = 1000;

/** What becomes unknown when the kubelet is silent. */
const kubeletConditions = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

interface Heard {
  leaseRenewal: unknown;
  heartbeat: unknown;
  atMs: number;
}

export function nodeLifecycle(shell: ClusterShell): ClusterController {
  const { client, caches, events } = shell;
  const graceMs = shell.options.nodeGraceMs ?? 40_000;
  const heard = new Map<string, Heard>();
  const lastReadiness = new Map<string, Readiness>();

  async function sync(name: string): Promise<Requeue | void> {
    const node = caches.nodes.get(name);
    if (!node) {
      heard.delete(name);
      lastReadiness.delete(name);
      return deletePodsOf(name);
    }
    const now = shell.now();
    const again = { afterMs: Math.min(checkIntervalMs, graceMs) };
    if (now - lastHeard(node, now) > graceMs && readiness(node) !== 'Unknown') {
      await markUnknown(node);
      // The copy does not know it yet; its change brings the node here again.
      return again;
    }
    const taints = changedTaints(node, now);
    if (taints) await setTaints(node, taints);
    const state = readiness(node);
    if (state !== 'True' && (lastReadiness.get(name) ?? 'True') === 'True') await markPodsNotReady(name);
    lastReadiness.set(name, state);
    await evictFrom(node, now);
    return again;
  }

  function lastHeard(node: Node, now: number): number {
    const { name } = node.metadata;
    const leaseRenewal = caches.leases.get(`kube-node-lease/${name}`)?.spec?.renewTime;
    const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
    // What we wrote ourselves is no sign of life.
    const heartbeat = ready?.status === 'Unknown' ? undefined : ready?.lastHeartbeatTime;
    const known = heard.get(name);
    const isSame =
      known?.leaseRenewal === leaseRenewal && (heartbeat === undefined || known?.heartbeat === heartbeat);
    if (known && isSame) return known.atMs;
    heard.set(name, { leaseRenewal, heartbeat, atMs: now });
    return now;
  }

  async function markUnknown(node: Node): Promise<void> {
    const known = node.status?.conditions ?? [];
    const conditions = kubeletConditions
      .filter((type) => type === 'Ready' || known.some((one) => one.type === type))
      .map((type) => ({
        type,
        status: 'Unknown',
        reason: 'NodeStatusUnknown',
        message: 'Kubelet stopped posting node status.',
        lastTransitionTime: timestamp(),
      }));
    const patch = { status: { conditions } };
    const options = { type: 'strategic', subresource: 'status' } as const;
    await client.nodes.patch(node.metadata.name, undefined, patch, options);
    tell(node, 'Node', 'Normal', 'NodeNotReady', `Node ${node.metadata.name} status is now: NodeNotReady`);
  }

  async function setTaints(node: Node, taints: object[]): Promise<void> {
    const { name, resourceVersion } = node.metadata;
    const patch = { metadata: { resourceVersion }, spec: { taints: taints.length > 0 ? taints : null } };
    await client.nodes.patch(name, undefined, patch);
  }

  const podsOf = (node: string): Pod[] => caches.pods.list().filter((pod) => pod.spec?.nodeName === node);

  async function markPodsNotReady(node: string): Promise<void> {
    for (const pod of podsOf(node)) {
      const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready?.status !== 'True') continue;
      const condition = { type: 'Ready', status: 'False', lastTransitionTime: timestamp() };
      const { name, namespace, uid } = pod.metadata;
      const patch = {
        metadata: { uid },
        status: { conditions: [{ ...condition, reason: null, message: null }] },
      };
      const options = { type: 'strategic', subresource: 'status' } as const;
      await unlessGone(client.pods.patch(name, namespace, patch, options));
      tell(pod, 'Pod', 'Warning', 'NodeNotReady', 'Node is not ready');
    }
  }

  /** Pods of a node that is gone go with it: nobody will ever report their end. */
  async function deletePodsOf(node: string): Promise<void> {
    if (await client.nodes.find(node)) return;
    for (const pod of podsOf(node)) await remove(pod, 0);
  }

  /** Deletes pods that do not tolerate the node's NoExecute taints, or no longer. */
  async function evictFrom(node: Node, now: number): Promise<void> {
    const taints = node.spec?.taints ?? [];
    if (!taints.some(({ effect }) => effect === 'NoExecute')) return;
    for (const pod of podsOf(node.metadata.name)) {
      if (pod.metadata.deletionTimestamp || !mustLeave(pod, taints, now)) continue;
      const message = `Marking for deletion Pod ${pod.metadata.namespace}/${pod.metadata.name}`;
      tell(pod, 'Pod', 'Normal', 'TaintManagerEviction', message, 'taint-eviction-controller');
      await remove(pod, undefined);
    }
  }

  async function remove(pod: Pod, gracePeriodSeconds: number | undefined): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const options = { uid: uid!, ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }) };
    await unlessGone(client.pods.delete(name, namespace, options));
  }

  function tell(
    about: KubeObject,
    kind: string,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    by = component,
  ): void {
    events.tell(by, { ...about, apiVersion: 'v1', kind }, type, reason, message);
  }

  return {
    name: 'node-lifecycle-controller',
    sync,
    keysOf({ kind, object, old }) {
      return kind === 'Node' ? [(object ?? old)!.metadata.name] : [];
    },
  };
}

/** Waits for a request about a pod that somebody may have deleted or replaced meanwhile. */
async function unlessGone(request: Promise<unknown>): Promise<void> {
  await request.catch((error: unknown) => {
    if (!(error instanceof ApiError && (error.isNotFound || error.isConflict))) throw error;
  });
}
