/** What is done with the sandboxes of a pod. */
import { createPodCgroup } from './cgroups.js';
import { killContainers } from './container-actions.js';
import type { NodeContext } from './node-context.js';
import type { ObservedPod } from './observed.js';
import { specOf, type Pod } from './pod.js';
import { sandboxConfig } from './sandbox-config.js';

/** A runtime handler may wait for minutes in it. */
const createTimeoutMs = 240_000;

/** @throws what the runtime says, or that the pod's RuntimeClass is not known. */
export async function createSandbox(
  { cri, sources }: NodeContext,
  pod: Pod,
  attempt: number,
  signal: AbortSignal,
): Promise<void> {
  const className = specOf(pod).runtimeClassName;
  const runtimeHandler = className ? await sources.runtimeHandler(className) : '';
  if (runtimeHandler === undefined) {
    throw new Error(`failed to get sandbox runtime: no RuntimeClass "${className}" is known`);
  }
  createPodCgroup(pod);
  const config = sandboxConfig(pod, attempt);
  await cri.runtime.runPodSandbox({ config, runtimeHandler }, createTimeoutMs, signal);
}

/** Ends what is left of an earlier sandbox, before a new one is made. */
export async function clearOldSandbox(
  node: NodeContext,
  pod: Pod,
  observed: ObservedPod,
  graceSeconds: number,
): Promise<void> {
  const message = 'Pod sandbox changed, it will be killed and re-created.';
  node.events.record(pod, 'Normal', 'SandboxChanged', message);
  await killContainers(node, pod, observed, graceSeconds);
  await stopSandboxes(node, observed);
  for (const { id } of observed.sandboxes.slice(1)) {
    await node.cri.runtime.removePodSandbox({ podSandboxId: id });
  }
}

export async function stopSandboxes({ cri }: NodeContext, { sandboxes }: ObservedPod): Promise<void> {
  for (const { id } of sandboxes) await cri.runtime.stopPodSandbox({ podSandboxId: id });
}
