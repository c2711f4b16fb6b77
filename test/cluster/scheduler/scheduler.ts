import { messageOf } from '../../../common/errors.js';
import { ApiError } from '../../../common/kube/api-error.js';
import { ResourceClient, type KubeClient } from '../../../common/kube/client.js';
import { ListWatch } from '../../../common/kube/list-watch.js';
import type { KubeObject, Node, Pod } from '../../../common/kube/types.js';
import { timestamp } from '../kubelet/status.js';
import { whyNot, type ClassScheduling } from './fit.js';

interface RuntimeClass extends KubeObject {
  scheduling?: ClassScheduling;
}

/** Pods that found no node are tried again after that time at the latest. */
const retryMs = 5000;

/** Gives pods without a node the fitting one that has the fewest pods. Answers how to stop. */
export function runScheduler(kube: KubeClient, log: (message: string) => void): () => void {
  const classes = new ResourceClient<RuntimeClass>(kube, {
    group: 'node.k8s.io',
    version: 'v1',
    plural: 'runtimeclasses',
    kind: 'RuntimeClass',
  });
  const backoff = { initialMs: 200, maxMs: 5000 };
  const nodes = new ListWatch<Node>(kube.nodes, { onChange: () => kick(), backoff }).start();
  const pods = new ListWatch<Pod>(kube.pods, { onChange: () => kick(), backoff }).start();
  let busy = false;
  let again = false;
  let stopped = false;
  const timer = setInterval(() => kick(), retryMs);

  function kick(): void {
    again = true;
    if (busy || stopped) return;
    busy = true;
    void round().finally(() => (busy = false));
  }

  async function round(): Promise<void> {
    await Promise.all([nodes.synced(), pods.synced()]);
    while (again && !stopped) {
      again = false;
      for (const pod of pods.list().filter(isWaiting)) {
        try {
          await schedule(pod);
        } catch (error) {
          const gone = error instanceof ApiError && (error.isNotFound || error.code === 409);
          if (!gone) log(`scheduler: ${pod.metadata.namespace}/${pod.metadata.name}: ${messageOf(error)}`);
        }
      }
    }
  }

  const isWaiting = (pod: Pod): boolean =>
    !pod.spec?.nodeName &&
    !pod.metadata.deletionTimestamp &&
    (pod.spec?.schedulerName ?? 'default-scheduler') === 'default-scheduler' &&
    (pod.spec?.schedulingGates ?? []).length === 0;

  /** Chosen here, and perhaps not seen back yet: they count where they will be. */
  const assumed = new Map<string, string>();

  async function schedule(pod: Pod): Promise<void> {
    const { name, namespace = 'default', uid = '' } = pod.metadata;
    if (assumed.has(uid)) return;
    const className = pod.spec?.runtimeClassName;
    const runtimeClass = className ? await classes.find(className) : undefined;
    const countOn = (node: string): number =>
      pods
        .list()
        .filter((one) => (one.spec?.nodeName ?? assumed.get(one.metadata.uid ?? '')) === node && !isOver(one))
        .length;
    const reasons = new Map<string, number>();
    const fitting: { name: string; count: number }[] = [];
    for (const node of nodes.list()) {
      const count = countOn(node.metadata.name);
      const reason = whyNot(pod, node, runtimeClass?.scheduling, count);
      if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      else fitting.push({ name: node.metadata.name, count });
    }
    fitting.sort((a, b) => a.count - b.count || (a.name < b.name ? -1 : 1));
    const chosen = fitting[0];
    if (!chosen) return unschedulable(pod, reasons);
    assumed.set(uid, chosen.name);
    if (assumed.size > 5000) assumed.clear();
    try {
      await kube.json('POST', `${kube.pods.path(namespace, name)}/binding`, {
        body: {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name, namespace, uid },
          target: { apiVersion: 'v1', kind: 'Node', name: chosen.name },
        },
      });
    } catch (error) {
      assumed.delete(uid);
      throw error;
    }
    await event(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${chosen.name}`);
  }

  async function unschedulable(pod: Pod, reasons: ReadonlyMap<string, number>): Promise<void> {
    const total = nodes.list().length;
    const why = [...reasons].map(([reason, count]) => `${count} ${reason}`).sort();
    const message = `0/${total} nodes are available: ${why.join(', ') || 'no nodes are registered'}.`;
    const old = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    if (old?.message === message) return;
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: old?.status === 'False' ? old.lastTransitionTime : timestamp(new Date()),
    };
    const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled');
    const { name, namespace } = pod.metadata;
    await kube.pods.patchStatus(name, namespace, { conditions: [...others, condition] });
    await event(pod, 'Warning', 'FailedScheduling', message);
  }

  async function event(pod: Pod, type: string, reason: string, message: string): Promise<void> {
    const { name, namespace = 'default', uid = '' } = pod.metadata;
    const now = timestamp(new Date());
    await kube.events.create(
      {
        metadata: {
          name: `${name}.${Date.now().toString(16)}${Math.floor(Math.random() * 0xffff).toString(16)}`,
          namespace,
        },
        involvedObject: { apiVersion: 'v1', kind: 'Pod', name, namespace, uid },
        type,
        reason,
        message,
        source: { component: 'default-scheduler' },
        reportingComponent: 'default-scheduler',
        reportingInstance: 'default-scheduler-local',
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      },
      namespace,
    );
  }

  return () => {
    stopped = true;
    clearInterval(timer);
    void nodes.stop();
    void pods.stop();
  };
}

const isOver = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
