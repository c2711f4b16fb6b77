/** How a container runtime is restarted, decided from how it runs. */

export interface RuntimeProcess {
  pid: number;
  /** Clock ticks since boot: with the PID it names one process. */
  startTime: string;
  /** Its program as a path of the node. */
  program: string;
  argv: readonly string[];
  /** PATH of its environment. */
  searchPath: string;
  /** Its cgroup's path, of the hierarchy that systemd keeps. */
  cgroup: string;
  parent: number;
}

export type RestartWay =
  | { by: 'command'; argv: readonly [string, ...string[]] }
  | { by: 'systemd'; unit: string }
  /** Whoever has started it starts it again when it ends. */
  | { by: 'supervisor'; pid: number }
  | { by: 'nobody'; why: string };

/**
 * @param command as the administrator names it
 * @param init name of the node's first process
 */
export function restartWay(
  process: Pick<RuntimeProcess, 'pid' | 'cgroup' | 'parent'>,
  { command, init }: { command?: string | undefined; init: string },
): RestartWay {
  if (command) return { by: 'command', argv: ['sh', '-c', command] };
  // The innermost one, for a node that is itself a service or a container of another machine.
  const unit = process.cgroup.split('/').findLast((part) => part.endsWith('.service'));
  if (init === 'systemd' && unit) return { by: 'systemd', unit };
  if (init !== 'systemd' && process.parent > 1) return { by: 'supervisor', pid: process.pid };
  const why =
    init === 'systemd'
      ? 'it runs outside of any service of systemd'
      : 'the process that started it is gone, and nothing would start it again';
  return { by: 'nobody', why };
}
