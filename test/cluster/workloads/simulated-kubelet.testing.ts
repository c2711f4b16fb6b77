/**
 * A simulated kubelet for tests that have no nodes: pods that are bound become ready after a moment, end as their label
 * says, and go when they are deleted. Nothing runs.
 */
import type { KubeClient } from '../../../common/kube/client.js';
import { ListWatch, keyOf } from '../../../common/kube/list-watch.js';
import type { Pod } from '../../../common/kube/types.js';
import { timestamp } from '../apiserver/time.js';
import { behaviourLabel, type Behaviour } from './scenarios/templates.js';

export interface SimulatedKubelet {
  stop(): Promise<void>;
}

/** How long starting, running and ending take (milliseconds). */
const startMs = 150;
const runMs = 150;
const endMs = 400;

export function startSimulatedKubelet(client: KubeClient): SimulatedKubelet {
  const timers = new Set<NodeJS.Timeout>();
  const started = new Set<string>();
  const ending = new Set<string>();
  let address = 0;

  const after = (ms: number, pod: Pod, work: (pod: Pod) => Promise<unknown>): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      const current = pods.get(keyOf(pod));
      // Gone, or changed under our hands: the change brings it here again.
      if (current?.metadata.uid === pod.metadata.uid) void work(current!).catch(() => ended(pod));
    }, ms);
    timers.add(timer);
  };
  const ended = (pod: Pod): void => {
    ending.delete(pod.metadata.uid!);
    react(pod);
  };

  const write = (pod: Pod, status: object): Promise<unknown> =>
    client.pods.patch(
      pod.metadata.name,
      pod.metadata.namespace,
      { metadata: { uid: pod.metadata.uid }, status },
      { type: 'strategic', subresource: 'status' },
    );

  const run = async (pod: Pod): Promise<void> => {
    if (pod.metadata.deletionTimestamp) return;
    const podIP = `10.244.0.${++address}`;
    await write(pod, { ...running(pod, podIP), startTime: timestamp() });
    const behaviour = pod.metadata.labels?.[behaviourLabel] as Behaviour | undefined;
    if (behaviour === 'succeeds') after(runMs, pod, (one) => write(one, over(one, 0)));
    if (behaviour === 'fails') after(runMs, pod, (one) => write(one, over(one, 3)));
  };

  const end = async (pod: Pod): Promise<void> => {
    // A container that is killed exits with 137, and the pod counts as failed.
    if (pod.status?.phase === 'Running') await write(pod, over(pod, 137));
    await client.pods.delete(pod.metadata.name, pod.metadata.namespace, {
      uid: pod.metadata.uid!,
      gracePeriodSeconds: 0,
    });
  };

  const react = (pod: Pod): void => {
    const { uid, deletionTimestamp } = pod.metadata;
    if (deletionTimestamp) {
      if (ending.has(uid!)) return;
      ending.add(uid!);
      after(endMs, pod, end);
    } else if (pod.spec?.nodeName && !started.has(uid!)) {
      started.add(uid!);
      after(startMs, pod, run);
    } else if (pod.status?.phase === 'Running' && isReadyNow(pod) !== shouldBeReady(pod)) {
      void write(pod, { conditions: conditions(shouldBeReady(pod)) }).catch(() => {});
    }
  };

  const pods: ListWatch<Pod> = new ListWatch<Pod>(client.pods, {
    onChange: (_key, pod) => {
      if (pod) react(pod);
    },
  });
  pods.start();
  return {
    async stop() {
      for (const timer of timers) clearTimeout(timer);
      await pods.stop();
    },
  };
}

function shouldBeReady(pod: Pod): boolean {
  return (pod.spec?.readinessGates ?? []).every((gate) =>
    pod.status?.conditions?.some(({ type, status }) => type === gate.conditionType && status === 'True'),
  );
}

function isReadyNow(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function conditions(ready: boolean): object[] {
  const lastTransitionTime = timestamp();
  return [
    { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime },
    { type: 'ContainersReady', status: 'True', lastTransitionTime },
  ];
}

function running(pod: Pod, podIP: string): object {
  return {
    phase: 'Running',
    podIP,
    podIPs: [{ ip: podIP }],
    hostIP: '127.0.0.1',
    conditions: conditions(shouldBeReady(pod)),
    containerStatuses: (pod.spec?.containers ?? []).map(({ name, image }) => ({
      name,
      image,
      imageID: '',
      ready: true,
      restartCount: 0,
      state: { running: { startedAt: timestamp() } },
    })),
  };
}

function over(pod: Pod, exitCode: number): object {
  const finishedAt = timestamp();
  return {
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    conditions: [{ type: 'Ready', status: 'False', reason: 'PodCompleted', lastTransitionTime: finishedAt }],
    containerStatuses: (pod.status?.containerStatuses ?? []).map((one) => ({
      ...one,
      ready: false,
      state: { terminated: { exitCode, finishedAt, startedAt: finishedAt } },
    })),
  };
}
