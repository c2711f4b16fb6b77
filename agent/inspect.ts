import { readdir, readlink } from 'node:fs/promises';
import type { ContainerFacts } from '../proto/gen/lpm/v1/agent.js';
import { LpmError } from '../common/errors.js';
import { processesBelow } from './cgroup.js';
import type { Context } from './context.js';
import { overlayOfProcess } from './layer.js';
import { memoryBytes } from './memory.js';
import type { CheckedPod } from './names.js';
import { readText } from './oci.js';
import { nameOf, requireSandbox, runningContainers, type RunningContainer } from './pod-view.js';
import { readStat } from './process.js';
import { assignVolumes, findEmptyDirs, folderBytes } from './volumes.js';

/** What matters for checkpointing a pod, from the runtime and /proc. Changes nothing. */
export async function inspectPod(context: Context, pod: CheckedPod): Promise<ContainerFacts[]> {
  await requireSandbox(context.cri, pod);
  const running = await runningContainers(context.host, context.cri, context.runtimeRoots, pod.uid);
  const volumes = assignVolumes(
    await findEmptyDirs(context.host, pod.uid),
    running.map(({ name, oci }) => ({ name, spec: oci.spec })),
  );
  return Promise.all(
    running.map(async (container): Promise<ContainerFacts> => {
      const { cri, oci, name } = container;
      const pids = processesBelow(oci.freezer.dir);
      const layer = await writableLayer(context, container);
      const sizes = await Promise.all(
        (volumes.get(name) ?? []).map(({ path }) => folderBytes(context.host.path(path))),
      );
      return {
        name: nameOf(cri),
        containerId: cri.id,
        image: cri.image?.userSpecifiedImage || cri.image?.image || '',
        imageRef: cri.imageRef,
        restartCount: cri.metadata?.attempt ?? 0,
        processCount: pids.length,
        memoryBytes: BigInt(memoryBytes(pids)),
        writableLayerBytes: BigInt(layer.bytes),
        emptyDirBytes: BigInt(sizes.reduce((sum, size) => sum + size, 0)),
        establishedTcpConnections: establishedConnections(
          `${readText(`/proc/${oci.pid}/net/tcp`)}\n${readText(`/proc/${oci.pid}/net/tcp6`)}`,
        ),
        terminal: (await context.cri.containerInfo(cri.id)).terminal,
        usesIoUring: (await Promise.all(pids.map(holdsIoUring))).includes(true),
        problems: [...layer.problems, ...namespaceProblems(container), ...stoppedProblems(pids)],
      };
    }),
  );
}

async function writableLayer(
  context: Context,
  { oci, name }: RunningContainer,
): Promise<{ bytes: number; problems: string[] }> {
  try {
    return { bytes: await folderBytes(overlayOfProcess(context.host, oci.pid).upper), problems: [] };
  } catch (error) {
    if (!(error instanceof LpmError)) throw error;
    return { bytes: 0, problems: [`Container ${name}: ${error.message}`] };
  }
}

/** A stopped process (SIGSTOP, a debugger) never gets to where CRIU waits for it when its cgroup is frozen. */
function stoppedProblems(pids: readonly number[]): string[] {
  const stopped = pids.filter((pid) => ['T', 't'].includes(readStat(pid)?.state ?? ''));
  if (stopped.length === 0) return [];
  return [
    `${stopped.length === 1 ? 'A process is' : `${stopped.length} processes are`} stopped (SIGSTOP or a debugger), and CRIU cannot dump what is stopped and frozen; continue ${stopped.length === 1 ? 'it' : 'them'} first.`,
  ];
}

/** Namespaces that CRIU and the runtime cannot bring back in another sandbox. */
export function namespaceProblems({ name, oci }: Pick<RunningContainer, 'name' | 'oci'>): string[] {
  const problems: string[] = [];
  const namespaces = oci.spec.linux?.namespaces ?? [];
  const pid = namespaces.find(({ type }) => type === 'pid');
  if (!pid) problems.push(`Container ${name} uses the node's PID namespace (hostPID).`);
  else if (pid.path)
    problems.push(`Container ${name} shares the PID namespace of its pod (shareProcessNamespace).`);
  if (!namespaces.some(({ type }) => type === 'ipc')) {
    problems.push(`Container ${name} uses the node's IPC namespace (hostIPC).`);
  }
  if (namespaces.some(({ type }) => type === 'user')) {
    problems.push(`Container ${name} runs in a user namespace (hostUsers: false).`);
  }
  return problems;
}

/** State of an established connection in /proc/net/tcp (include/net/tcp_states.h). */
const ESTABLISHED = '01';

/** Connections whose ends are not both on loopback; proc(5): "sl local_address rem_address st …", addresses in hex. */
export function establishedConnections(procNetTcp: string): number {
  let count = 0;
  for (const line of procNetTcp.split('\n')) {
    const [, local = '', remote = '', state = ''] = line.trim().split(/\s+/);
    if (state !== ESTABLISHED) continue;
    if (!isLoopback(local) || !isLoopback(remote)) count++;
  }
  return count;
}

/** 127.0.0.0/8 in the byte order of the machine (little-endian), ::1, and 127/8 mapped into IPv6. */
function isLoopback(address: string): boolean {
  const [hex = ''] = address.split(':');
  if (hex.length === 8) return hex.endsWith('7F');
  return hex === '00000000000000000000000001000000' || /^0000000000000000FFFF0000[0-9A-F]{6}7F$/.test(hex);
}

async function holdsIoUring(pid: number): Promise<boolean> {
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => [] as string[]);
  for (const fd of fds) {
    if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')) === 'anon_inode:[io_uring]') return true;
  }
  return false;
}
