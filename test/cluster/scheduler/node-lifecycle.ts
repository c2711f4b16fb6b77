import { messageOf } from '../../../common/errors.js';
import type { KubeClient } from '../../../common/kube/client.js';
import type { Node } from '../../../common/kube/types.js';
import { timestamp } from '../kubelet/status.js';

const namespace = 'kube-node-lease';
/** The controller-manager's --node-monitor-period and --node-monitor-grace-period. */
const periodMs = 5000;
const graceMs = 50_000;

const unreachable = { key: 'node.kubernetes.io/unreachable' };

/**
 * Watches over the nodes' leases as the node lifecycle controller does: a node whose lease is not renewed for 50 s,
 * judged by this process's own clock, becomes Ready=Unknown and is tainted; one that renews it again loses the taint.
 * Pods are not evicted. Answers how to stop.
 */
export function watchNodes(kube: KubeClient, log: (message: string) => void): () => void {
  const seen = new Map<string, { renewTime: string; at: number }>();

  async function look(): Promise<void> {
    const [nodes, leases] = await Promise.all([kube.nodes.list(), kube.leases.list({ namespace })]);
    for (const node of nodes.items) {
      const name = node.metadata.name;
      const renewTime = leases.items.find((lease) => lease.metadata.name === name)?.spec?.renewTime ?? '';
      const before = seen.get(name);
      if (!before || before.renewTime !== renewTime) seen.set(name, { renewTime, at: Date.now() });
      const silentMs = Date.now() - (seen.get(name)?.at ?? 0);
      await judge(node, silentMs > graceMs);
    }
  }

  async function judge(node: Node, lost: boolean): Promise<void> {
    const name = node.metadata.name;
    const taints = node.spec?.taints ?? [];
    const tainted = taints.some(({ key }) => key === unreachable.key);
    if (lost) {
      const now = timestamp(new Date());
      const conditions = (node.status?.conditions ?? []).map((condition) =>
        condition.status === 'Unknown'
          ? condition
          : {
              ...condition,
              status: 'Unknown',
              reason: 'NodeStatusUnknown',
              message: 'Kubelet stopped posting node status.',
              lastTransitionTime: now,
            },
      );
      if (conditions.some((condition, i) => condition !== node.status?.conditions?.[i])) {
        log(`node ${name} has not renewed its lease: Ready=Unknown`);
        await kube.nodes.patchStatus(name, undefined, { conditions });
      }
    }
    if (lost === tainted) return;
    const rest = taints.filter(({ key }) => key !== unreachable.key);
    const added = lost
      ? (['NoSchedule', 'NoExecute'] as const).map((effect) => ({
          ...unreachable,
          effect,
          timeAdded: timestamp(new Date()),
        }))
      : [];
    await kube.nodes.patch(name, undefined, { spec: { taints: [...rest, ...added] } });
  }

  const timer = setInterval(() => {
    look().catch((error: unknown) => log(`node lifecycle: ${messageOf(error)}`));
  }, periodMs);
  return () => clearInterval(timer);
}
