import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type {
  ContainerStatus as CriContainerStatus,
  PodSandboxConfig,
  PodSandboxStatus,
} from '../../../proto/gen/runtime/v1/cri.js';
import { messageOf } from '../../../common/errors.js';
import { containerConfig } from './container-config.js';
import { ConfigError, type PodFacts } from './env.js';
import { ensureImage, ImageError } from './images.js';
import { hasExited, isRunning, readySandbox, runsOf, type ObservedPod } from './observed.js';
import { backoffKey, isSidecar } from './plan.js';
import { namespaceOf, specOf, type ContainerSpec, type Pod } from './pod.js';
import { httpGet, type ProbeTarget } from './probes/attempt.js';
import { restartCountByLogs } from './restart-count.js';
import { logDirectory } from './sandbox-config.js';
import type { Waiting } from './status.js';
import { detailsOf, type NodeContext } from './node-context.js';

/** The kubelet gives the runtime two minutes for a request (--runtime-request-timeout). */
const runtimeTimeoutMs = 120_000;

export interface Start {
  pod: Pod;
  container: ContainerSpec;
  restartCount: number;
  countsAsFailure: boolean;
  sandbox: PodSandboxStatus;
  config: PodSandboxConfig;
  facts: PodFacts;
  volumes: ReadonlyMap<string, string>;
  observed: ObservedPod;
  /** Fires when the pod is to end: the start is given up. */
  signal: AbortSignal;
}

export interface StartFailure {
  waiting: Waiting;
  retryInMs: number;
}

/** Image, container, start and postStart hook. Undefined when it runs, else why it does not. */
export async function startContainer(node: NodeContext, start: Start): Promise<StartFailure | undefined> {
  const { pod, container, sandbox } = start;
  const restartCount = start.restartCount || restartCountByLogs(join(logDirectory(pod), container.name));
  const fail = (reason: string, error: unknown, retryInMs = 2000): StartFailure => {
    const message = detailsOf(error);
    if (!start.signal.aborted) {
      node.events.record(pod, 'Warning', 'Failed', `Error: ${message}`, container);
      node.log(`${namespaceOf(pod)}/${pod.metadata.name} ${container.name}: ${reason}: ${message}`);
    }
    return { waiting: { reason, message }, retryInMs };
  };

  let imageRef: string;
  try {
    imageRef = await ensureImage(node.cri, pod, container, node.backoff, node.events);
  } catch (error) {
    if (!(error instanceof ImageError)) return fail('ImageInspectError', error);
    return { waiting: { reason: error.reason, message: error.message }, retryInMs: error.retryInMs };
  }

  let containerId: string;
  try {
    const config = await containerConfig({
      pod,
      container,
      imageRef,
      restartCount,
      facts: start.facts,
      volumes: start.volumes,
      sources: node.sources,
      memoryCapacity: node.memoryCapacity,
    });
    await removeOldRuns(node, start);
    // The first restart comes at once, each further one waits longer.
    if (start.countsAsFailure) node.backoff.attempted(backoffKey(pod, container));
    ({ containerId } = await node.cri.runtime.createContainer(
      { podSandboxId: sandbox.id, config, sandboxConfig: start.config },
      runtimeTimeoutMs,
      start.signal,
    ));
  } catch (error) {
    return fail(error instanceof ConfigError ? 'CreateContainerConfigError' : 'CreateContainerError', error);
  }
  node.events.record(pod, 'Normal', 'Created', 'Container created', container);

  try {
    await node.cri.runtime.startContainer({ containerId }, runtimeTimeoutMs, start.signal);
  } catch (error) {
    return fail('RunContainerError', error);
  }
  node.events.record(pod, 'Normal', 'Started', 'Container started', container);

  const hook = container.lifecycle?.postStart;
  if (hook) {
    try {
      await runHook(node, { container, containerId, podIp: start.facts.podIp }, hook, runtimeTimeoutMs);
    } catch (error) {
      const message = messageOf(error);
      node.events.record(pod, 'Warning', 'FailedPostStartHook', 'PostStartHook failed', container);
      node.events.record(pod, 'Normal', 'Killing', 'FailedPostStartHook', container);
      node.log(
        `${namespaceOf(pod)}/${pod.metadata.name} ${container.name}: PostStartHook failed: ${message}`,
      );
      await stop(node, containerId, Math.max(2, specOf(pod).terminationGracePeriodSeconds ?? 30));
      return { waiting: { reason: 'PostStartHookError', message }, retryInMs: 2000 };
    }
  }
  return undefined;
}

/** Of a container's earlier runs the last is kept, for `kubectl logs --previous`. */
async function removeOldRuns(node: NodeContext, start: Start): Promise<void> {
  const runs = runsOf(start.observed, start.container.name);
  // One that never ran is no run to keep.
  const dead = runs.filter((run) => !isRunning(run));
  const keep = dead.find((run) => hasExited(run));
  for (const run of dead) {
    if (run === keep) continue;
    await node.cri.runtime.removeContainer({ containerId: run.id });
    if (run.logPath) rmSync(run.logPath, { force: true });
  }
}

type Hook = NonNullable<NonNullable<ContainerSpec['lifecycle']>['preStop']>;

/** Runs a hook: a command, a wait, or a GET. */
async function runHook(node: NodeContext, target: ProbeTarget, hook: Hook, timeoutMs: number): Promise<void> {
  if (hook.sleep) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(hook.sleep!.seconds * 1000, timeoutMs)));
  } else if (hook.exec) {
    const timeout = BigInt(Math.ceil(timeoutMs / 1000));
    const { exitCode, stderr } = await node.cri.runtime.execSync(
      { containerId: target.containerId, cmd: hook.exec.command ?? [], timeout },
      timeoutMs + 5000,
    );
    if (exitCode !== 0)
      throw new Error(`exit code ${exitCode}: ${Buffer.from(stderr).toString('utf8').trim()}`);
  } else if (hook.httpGet) {
    const { result, output } = await httpGet(target, hook.httpGet, timeoutMs);
    if (result !== 'success') throw new Error(output);
  } else {
    throw new Error('a hook of kind tcpSocket does nothing in Kubernetes either');
  }
}

const stop = (
  node: NodeContext,
  containerId: string,
  seconds: number,
  signal?: AbortSignal,
): Promise<unknown> =>
  node.cri.runtime.stopContainer(
    { containerId, timeout: BigInt(seconds) },
    seconds * 1000 + runtimeTimeoutMs,
    signal,
  );

export interface Ending {
  pod: Pod;
  run: CriContainerStatus;
  /** Undefined when the pod's object is not known any more. */
  container: ContainerSpec | undefined;
  podIp: string;
  /** The event's. */
  message: string;
  graceSeconds: number;
  /** Resolves when it is the container's turn; its hook runs before. */
  turn?: Promise<unknown>;
  /** Fires when the end is to be begun again, with less time. */
  signal?: AbortSignal | undefined;
}

/**
 * Ends one container: event, preStop hook, its turn, then SIGTERM and at the end of the grace period SIGKILL. The
 * container always gets two seconds. Rejects when the runtime does not manage it within two minutes more, as with a
 * container in a frozen pod.
 */
export async function endContainer(node: NodeContext, ending: Ending): Promise<void> {
  const { pod, run, container, message, graceSeconds, signal } = ending;
  const name = run.metadata?.name ?? '';
  const given = aborted(signal);
  const began = Date.now();
  const left = (): number => graceSeconds - Math.round((Date.now() - began) / 1000);
  if (isRunning(run)) {
    const about = container ?? { name };
    node.events.record(pod, 'Normal', 'Killing', message, about);
    const hook = container?.lifecycle?.preStop;
    if (container && hook) {
      const target = { container, containerId: run.id, podIp: ending.podIp };
      const done = runHook(node, target, hook, graceSeconds * 1000).catch((error: unknown) => {
        node.log(`${namespaceOf(pod)}/${pod.metadata.name} ${name}: PreStopHook failed: ${messageOf(error)}`);
        node.events.record(pod, 'Warning', 'FailedPreStopHook', 'PreStopHook failed', about);
      });
      await Promise.race([done, given]);
    }
  }
  if (ending.turn) {
    const overslept = new AbortController();
    const limit = delay(Math.max(0, left()) * 1000, undefined, { signal: overslept.signal }).catch(() => {});
    await Promise.race([ending.turn, limit, given]).finally(() => overslept.abort());
  }
  await stop(node, run.id, Math.max(2, left()), signal);
}

/**
 * Ends every running container of the pod, each with its preStop hook, within the grace period in seconds: all at once,
 * but a sidecar only after the containers and the sidecars that come after it
 * (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-flow).
 */
export async function killContainers(
  node: NodeContext,
  pod: Pod,
  observed: ObservedPod,
  graceSeconds: number,
  signal?: AbortSignal,
): Promise<void> {
  const spec = specOf(pod);
  const podIp = readySandbox(observed)?.network?.ip ?? '';
  const remaining = observed.containers.filter((run) => !hasExited(run));
  const end = (run: CriContainerStatus, turn?: Promise<unknown>): Promise<void> => {
    const name = run.metadata?.name ?? '';
    const container = [...spec.containers, ...(spec.initContainers ?? [])].find((one) => one.name === name);
    const message = `Stopping container ${name}`;
    return endContainer(node, {
      pod,
      run,
      container,
      podIp,
      message,
      graceSeconds,
      signal,
      ...(turn ? { turn } : {}),
    });
  };
  const sidecars = (spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
  const isOfSidecar = (run: CriContainerStatus): boolean => sidecars.includes(run.metadata?.name ?? '');
  const ends = remaining.filter((run) => !isOfSidecar(run)).map((run) => end(run));
  for (const name of sidecars.reverse()) {
    const before = Promise.allSettled([...ends]);
    for (const run of remaining) if (run.metadata?.name === name) ends.push(end(run, before));
  }
  const failed = (await Promise.allSettled(ends)).find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** Rejects when the signal fires. */
function aborted(signal: AbortSignal | undefined): Promise<never> {
  const promise = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  // It may fire when nobody waits for it any more.
  promise.catch(() => {});
  return promise;
}
