import { LpmError } from '../common/errors.js';
import {
  ContainerState,
  PodSandboxState,
  type Container,
  type PodSandbox,
} from '../proto/gen/runtime/v1/cri.js';
import { podCgroupByName, podCgroupOf, freezerOf, type FreezerCgroup } from './cgroup.js';
import type { Cri } from './cri.js';
import type { Host } from './host.js';
import type { CheckedPod } from './names.js';
import { findOciContainer, readText, type OciContainer } from './oci.js';

export interface RunningContainer {
  name: string;
  cri: Container;
  oci: OciContainer;
}

export const nameOf = (container: Container): string => container.metadata?.name ?? '';

/** The runtime's newest sandbox of a pod; its labels must say the same pod as the request. */
export async function findSandbox(cri: Cri, pod: CheckedPod): Promise<PodSandbox | undefined> {
  const [sandbox] = await cri.sandboxes(pod.uid);
  if (!sandbox) return undefined;
  const { name, namespace } = sandbox.metadata ?? {};
  if (name !== pod.name || namespace !== pod.namespace) {
    throw new LpmError(
      'InvalidArgument',
      `The pod with UID ${pod.uid} is ${namespace}/${name} on this node, not ${pod.namespace}/${pod.name}.`,
    );
  }
  return sandbox;
}

/** @throws PodNotFound */
export async function requireSandbox(cri: Cri, pod: CheckedPod): Promise<PodSandbox> {
  const sandbox = await findSandbox(cri, pod);
  if (sandbox) return sandbox;
  throw new LpmError('PodNotFound', `Pod ${pod.namespace}/${pod.name} (UID ${pod.uid}) is not on this node.`);
}

/** The containers of a pod that run, with what the OCI runtime and /proc know of them. */
export async function runningContainers(
  host: Host,
  cri: Cri,
  roots: readonly string[],
  podUid: string,
): Promise<RunningContainer[]> {
  const found: RunningContainer[] = [];
  for (const container of await cri.containers(podUid)) {
    if (container.state !== ContainerState.CONTAINER_RUNNING) continue;
    found.push({ name: nameOf(container), cri: container, oci: findOciContainer(host, roots, container.id) });
  }
  return found;
}

/**
 * The pod's cgroup: the parent of its sandbox's or a container's, or where the kubelet makes it. Undefined when there is none, or
 * the runtime does not keep the pod's containers below one cgroup.
 */
export async function findPodCgroup(
  host: Host,
  cri: Cri,
  roots: readonly string[],
  podUid: string,
): Promise<FreezerCgroup | undefined> {
  const sandboxes = await cri.sandboxes(podUid);
  const ids = [...sandboxes.map(({ id }) => id), ...(await cri.containers(podUid)).map(({ id }) => id)];
  // CRI-O runs without a sandbox process by default (drop_infra_ctr), and tells nothing of a container that it is creating.
  const known =
    podCgroupByIds(host, roots, podUid, ids) ?? podCgroupByName(host.path('/sys/fs/cgroup'), podUid);
  if (known) return known;
  // A runtime may keep its state elsewhere.
  for (const { id, state } of sandboxes) {
    if (state !== PodSandboxState.SANDBOX_READY) continue;
    const pid = await cri.sandboxPid(id);
    const freezer =
      pid > 0 ? freezerOf(readText(`/proc/${pid}/cgroup`), host.path('/sys/fs/cgroup')) : undefined;
    const cgroup = freezer && podCgroupOf(freezer, podUid);
    if (cgroup) return cgroup;
  }
  return undefined;
}

/**
 * A sandbox's own process, as the OCI runtime's record tells it, else the container runtime. CRI-O does not answer for a sandbox as
 * long as it waits for that process to end.
 *
 * @returns 0 when the sandbox has none (drop_infra_ctr) or nobody tells, undefined when it has ended
 */
export async function sandboxProcess(
  host: Host,
  cri: Pick<Cri, 'sandboxPid'>,
  roots: readonly string[],
  sandboxId: string,
): Promise<number | undefined> {
  try {
    return findOciContainer(host, roots, sandboxId).pid;
  } catch (error) {
    if (!(error instanceof LpmError)) throw error;
    if (error.reason === 'PodNotRunning') return undefined;
  }
  return cri.sandboxPid(sandboxId).catch(() => 0);
}

/** A pod's cgroup as the OCI runtime's records of its sandbox or containers tell it. */
export function podCgroupByIds(
  host: Host,
  roots: readonly string[],
  podUid: string,
  ids: readonly string[],
): FreezerCgroup | undefined {
  for (const id of ids) {
    try {
      const cgroup = podCgroupOf(findOciContainer(host, roots, id).freezer, podUid);
      if (cgroup) return cgroup;
    } catch (error) {
      if (!(error instanceof LpmError)) throw error;
    }
  }
  return undefined;
}
