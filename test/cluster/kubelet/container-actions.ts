import { rmSync } from 'node:fs';
import type { PodSandboxConfig, PodSandboxStatus } from '../../../proto/gen/runtime/v1/cri.js';
import { messageOf } from '../../../common/errors.js';
import { containerConfig } from './container-config.js';
import { ConfigError, type PodFacts } from './env.js';
import { ensureImage, ImageError } from './images.js';
import { hasExited, isRunning, runsOf, type ObservedPod } from './observed.js';
import { backoffKey } from './plan.js';
import { namespaceOf, specOf, type ContainerSpec, type Pod } from './pod.js';
import type { Waiting } from './status.js';
import { detailsOf, type NodeContext } from './worker.js';

/** The kubelet gives the runtime two minutes for a request (--runtime-request-timeout). */
const runtimeTimeoutMs = 120_000;

export interface Start {
  pod: Pod;
  container: ContainerSpec;
  restartCount: number;
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
  const { pod, container, restartCount, sandbox } = start;
  const fail = (reason: string, error: unknown, retryInMs = 2000): StartFailure => {
    const message = detailsOf(error);
    if (!start.signal.aborted) {
      node.events.record(pod, 'Warning', 'Failed', `Error: ${message}`, container.name);
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
    if (runsOf(start.observed, container.name).length > 0) node.backoff.attempted(backoffKey(pod, container));
    ({ containerId } = await node.cri.runtime.createContainer(
      { podSandboxId: sandbox.id, config, sandboxConfig: start.config },
      runtimeTimeoutMs,
      start.signal,
    ));
  } catch (error) {
    return fail(error instanceof ConfigError ? 'CreateContainerConfigError' : 'CreateContainerError', error);
  }
  node.events.record(pod, 'Normal', 'Created', `Created container: ${container.name}`, container.name);

  try {
    await node.cri.runtime.startContainer({ containerId }, runtimeTimeoutMs, start.signal);
  } catch (error) {
    return fail('RunContainerError', error);
  }
  node.events.record(pod, 'Normal', 'Started', `Started container ${container.name}`, container.name);

  const hook = container.lifecycle?.postStart;
  if (hook) {
    try {
      await runHook(node, containerId, hook, runtimeTimeoutMs);
    } catch (error) {
      node.events.record(pod, 'Warning', 'FailedPostStartHook', `PostStartHook failed`, container.name);
      await node.cri.runtime.stopContainer({ containerId, timeout: 2n });
      return fail('PostStartHookError', error);
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

/** Hooks that run a command or wait. An HTTP hook is refused: nothing of ours needs one. */
async function runHook(node: NodeContext, containerId: string, hook: Hook, timeoutMs: number): Promise<void> {
  if (hook.sleep) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(hook.sleep!.seconds * 1000, timeoutMs)));
  } else if (hook.exec) {
    const timeout = BigInt(Math.ceil(timeoutMs / 1000));
    const { exitCode, stderr } = await node.cri.runtime.execSync(
      { containerId, cmd: hook.exec.command ?? [], timeout },
      timeoutMs + 5000,
    );
    if (exitCode !== 0)
      throw new Error(`exit code ${exitCode}: ${Buffer.from(stderr).toString('utf8').trim()}`);
  } else {
    throw new Error('HTTP and TCP hooks are not supported by the local cluster');
  }
}

/** Stops every running container of the pod at once, each with its preStop hook and the grace period in seconds. */
export async function killContainers(
  node: NodeContext,
  pod: Pod,
  observed: ObservedPod,
  graceSeconds: number,
): Promise<void> {
  const spec = specOf(pod);
  const running = observed.containers.filter((run) => !hasExited(run));
  const results = await Promise.allSettled(
    running.map(async (run) => {
      const name = run.metadata?.name ?? '';
      const container = [...spec.containers, ...(spec.initContainers ?? [])].find((one) => one.name === name);
      if (isRunning(run)) node.events.record(pod, 'Normal', 'Killing', `Stopping container ${name}`, name);
      const began = Date.now();
      const hook = container?.lifecycle?.preStop;
      if (hook && isRunning(run)) {
        await runHook(node, run.id, hook, graceSeconds * 1000).catch((error: unknown) =>
          node.events.record(
            pod,
            'Warning',
            'FailedPreStopHook',
            `PreStopHook failed: ${messageOf(error)}`,
            name,
          ),
        );
      }
      const left = Math.max(2, graceSeconds - Math.round((Date.now() - began) / 1000));
      await node.cri.runtime.stopContainer(
        { containerId: run.id, timeout: BigInt(left) },
        left * 1000 + runtimeTimeoutMs,
      );
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}
