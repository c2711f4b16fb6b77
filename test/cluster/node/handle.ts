import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { shortHash } from '../paths.js';
import { isRunning, type ProcessRecord } from '../processes.js';
import type { RunResult } from '../run.js';
import { cgroupDirs } from './cgroups.js';
import { serviceScript } from './config.js';
import type { NodeLink } from './network.js';

/** What is known of a running node from its directory alone. */
export interface NodeRecord {
  name: string;
  podCidr: string;
  root: string;
  logDir: string;
  init: ProcessRecord;
  /** What is needed to start it again as it is. */
  boot: BootRecord;
}

export interface BootRecord {
  binds: readonly Bind[];
  network?: { lab: ProcessRecord; link: NodeLink };
}

export interface Bind {
  /** File or folder on this machine. */
  from: string;
  /** Absolute path in the node; made when it is not there. */
  to: string;
  mode: 'ro' | 'rw';
}

export interface NodeHandle {
  readonly name: string;
  readonly dir: string;
  readonly podCidr: string;
  /** Process 1 of the node, as seen from outside. */
  readonly init: ProcessRecord;
  /** Logs of the node's daemons on this machine, one file each. */
  readonly logDir: string;
  /** containerd's socket as a path on this machine. */
  readonly criSocket: string;
  /** A path inside the node as a path on this machine, valid while the node runs. */
  path(inside: string): string;
  running(): boolean;
  /** Runs a command in all of the node's namespaces, to its end. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<RunResult>;
  /** Starts a command in the node; end it by something inside the node, or by its input's end. */
  spawn(argv: readonly string[], stdio?: StdioOptions): ChildProcess;
  /** Ends a service's process; it is started again unless `down`. Waits until the process is gone. */
  restartService(name: string, options?: { signal?: string; down?: boolean }): Promise<void>;
  /** Starts a service that was not known at the node's start, or starts a downed one again. */
  startService(name: string, command: readonly string[]): Promise<void>;
  importImage(archive: string, reference?: string): Promise<void>;
  /**
   * As if the power had failed: every process is killed, and the node starts again from its disks. What lay in memory
   * (/run, /tmp, volumes of medium Memory) is gone, the services come up by themselves. Paths that were asked for
   * before, `criSocket` too, are to be asked for again. Resolves when containerd serves.
   */
  reboot(): Promise<void>;
  stop(): Promise<void>;
}

export interface ExecOptions {
  stdin?: string | Buffer;
  /** Read from this file on this machine in place of `stdin`. */
  stdinFile?: string;
  /** The command is ended after so many seconds, exit code 124. */
  timeoutSeconds?: number;
}

/** Holds the cgroups of everything that was started in a directory, in every hierarchy. */
export const topGroup = (dir: string): string => `lpm-${shortHash(dir)}`;

/** Name of a node's cgroup in every hierarchy. */
export const group = (dir: string, name: string): string => `${topGroup(dir)}/${name}`;

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Words of a shell line that puts the shell into a cgroup before it becomes something else. */
export function enter(dir: string, name: string, leaf: string): string {
  return cgroupDirs(group(dir, name))
    .map((cgroup) => {
      const inLeaf = join(cgroup, leaf, 'cgroup.procs');
      return `echo 0 >'${existsSync(inLeaf) ? inLeaf : join(cgroup, 'cgroup.procs')}'`;
    })
    .join(' && ');
}

/** A node that runs, known by its record, which `reboot` brings up to date. */
export function handle(
  dir: string,
  record: NodeRecord,
  { stop, reboot }: { stop: () => Promise<void>; reboot: (node: NodeHandle) => Promise<void> },
): NodeHandle {
  const inside = (path: string): string => `/proc/${record.init.pid}/root${path}`;

  const start = (argv: readonly string[], stdio: StdioOptions = 'pipe'): ChildProcess => {
    if (!isRunning(record.init)) throw new Error(`The node ${record.name} does not run.`);
    const nsenter = `nsenter -t ${record.init.pid} -m -u -i -n -p -C -r -w`;
    const script = `${enter(dir, record.name, 'system')} && exec ${nsenter} -- "$@"`;
    const env = [
      '/usr/bin/env',
      '-i',
      `PATH=${path}`,
      'HOME=/root',
      'LC_ALL=C',
      `TERM=${process.env.TERM ?? 'dumb'}`,
    ];
    return spawn('sh', ['-c', script, 'sh', ...env, ...argv], { stdio });
  };

  const exec = (argv: readonly string[], options: ExecOptions = {}): Promise<RunResult> =>
    new Promise((resolve, reject) => {
      const limit = options.timeoutSeconds ? ['timeout', '-k', '1', String(options.timeoutSeconds)] : [];
      const input = options.stdinFile === undefined ? undefined : openSync(options.stdinFile, 'r');
      const child = start([...limit, ...argv], [input ?? 'pipe', 'pipe', 'pipe']);
      if (input !== undefined) closeSync(input);
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
      child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
      child.on('error', reject);
      child.on('close', (code) => {
        const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString('utf8');
        resolve({ code: code ?? 255, stdout: text(out), stderr: text(err) });
      });
      child.stdin?.on('error', () => {});
      child.stdin?.end(options.stdin ?? '');
    });

  const mustExec = async (argv: readonly string[], options?: ExecOptions): Promise<string> => {
    const { code, stdout, stderr } = await exec(argv, options);
    if (code !== 0) {
      throw new Error(
        `"${argv.join(' ')}" in node ${record.name} failed (${code}): ${(stderr || stdout).trim()}`,
      );
    }
    return stdout;
  };

  const node: NodeHandle = {
    name: record.name,
    dir,
    podCidr: record.podCidr,
    logDir: record.logDir,
    get init() {
      return record.init;
    },
    get criSocket() {
      return inside('/run/containerd/containerd.sock');
    },
    path: inside,
    running: () => isRunning(record.init),
    exec,
    spawn: start,
    restartService: async (name, { signal = 'TERM', down = false } = {}) => {
      const script =
        `[ -z "$3" ] || : >"/run/lpm-node/$1.down"; pid=$(cat "/run/lpm-node/$1.pid" 2>/dev/null) || exit 0; ` +
        `kill -"$2" "$pid"; while [ -e "/proc/$pid" ]; do sleep 0.02; done`;
      await mustExec(['sh', '-c', script, 'sh', name, signal, down ? 'down' : '']);
    },
    startService: async (name, command) => {
      const script =
        `file=/etc/lpm-node/services/$1; known=$([ -e "$file" ] && echo yes); cat >"$file.new"; chmod 755 "$file.new"; ` +
        `mv "$file.new" "$file"; rm -f "/run/lpm-node/$1.down"; ` +
        `[ -n "$known" ] || setsid /usr/local/lib/lpm-node/supervise.sh "$1" </dev/null >/dev/null 2>&1 &`;
      await mustExec(['sh', '-c', script, 'sh', name], { stdin: serviceScript(command) });
    },
    importImage: async (archive, reference) => {
      const name = reference ? ['--index-name', reference] : [];
      await mustExec(['ctr', '-n', 'k8s.io', 'images', 'import', '--local', ...name, '-'], {
        stdinFile: archive,
      });
    },
    reboot: () => reboot(node),
    stop,
  };
  return node;
}
