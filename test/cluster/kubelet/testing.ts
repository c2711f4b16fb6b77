/** Builders for the kubelet's tests. */
import {
  ContainerState,
  ContainerStatus,
  PodSandboxState,
  PodSandboxStatus,
} from '../../../proto/gen/runtime/v1/cri.js';
import { labels } from './labels.js';
import type { ObservedPod } from './observed.js';
import type { Pod, PodSpec } from './pod.js';

const nanos = (seconds: number): bigint => BigInt(seconds) * 1_000_000_000n;

export const aPod = (spec: Partial<PodSpec> = {}, status: Pod['status'] = {}): Pod => ({
  metadata: { name: 'web', namespace: 'default', uid: '11111111-2222-3333-4444-555555555555' },
  spec: { containers: [{ name: 'main', image: 'busybox:1.35' }], ...spec },
  status,
});

export const aSandbox = (ready = true, attempt = 0): PodSandboxStatus =>
  PodSandboxStatus.fromPartial({
    id: `sandbox-${attempt}`,
    metadata: { name: 'web', namespace: 'default', uid: 'u', attempt },
    state: ready ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY,
    createdAt: nanos(1 + attempt),
    network: { ip: '10.244.1.5' },
  });

interface Run {
  name?: string;
  restart?: number;
  /** Seconds. */
  startedAt?: number;
}

const aRun = ({ name = 'main', restart = 0, startedAt = 10 + restart }: Run): ContainerStatus =>
  ContainerStatus.fromPartial({
    id: `${name}-${restart}`,
    metadata: { name, attempt: restart },
    createdAt: nanos(startedAt),
    startedAt: nanos(startedAt),
    annotations: { [labels.restartCount]: String(restart) },
    image: { image: 'docker.io/library/busybox:1.35' },
  });

export const running = (run: Run = {}): ContainerStatus => ({
  ...aRun(run),
  state: ContainerState.CONTAINER_RUNNING,
});

export const exited = (exitCode: number, run: Run & { finishedAt?: number } = {}): ContainerStatus => ({
  ...aRun(run),
  state: ContainerState.CONTAINER_EXITED,
  exitCode,
  finishedAt: nanos(run.finishedAt ?? 100),
});

export const observed = (containers: ContainerStatus[] = [], sandboxes = [aSandbox()]): ObservedPod => ({
  sandboxes,
  containers: [...containers].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)),
});
