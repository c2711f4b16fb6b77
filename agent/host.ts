import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { LpmError, messageOf, type Reason } from '../common/errors.js';
import { killTree } from './process.js';

export interface CommandResult {
  /** Exit code, or 128 plus the signal's number as in a shell. */
  code: number;
  stdout: string;
  stderr: string;
  timedOut?: boolean;
}

export interface CommandOptions {
  env?: Readonly<Record<string, string>>;
  stdin?: string | Buffer;
  /** Called with the PID as soon as the command runs. */
  onStart?: (pid: number) => void;
  /** The command is killed with all its descendants after so long; CommandResult.timedOut tells it. */
  timeoutMs?: number;
}

/**
 * The node that this agent works on. In a pod the agent has a mount namespace of its own: then the node's files are
 * seen through the node's first process (hostPID), and the node's programs are run in its mount namespace, so that
 * runc, CRIU and tar are the node's own and see the paths that the runtime sees.
 */
export class Host {
  private readonly prefix: string;

  constructor() {
    const node = namespaceOf('1');
    // Where the first process cannot be looked at, there is nobody else's namespace to go to.
    this.prefix = node === undefined || node === namespaceOf('self') ? '' : '/proc/1/root';
  }

  /** A path of the node as a path of this process. */
  path(onNode: string): string {
    return `${this.prefix}${onNode}`;
  }

  /** Where the node's programs are looked for: ours first, as an administrator may have put a newer CRIU there. */
  readonly searchPath = `/opt/lpm/bin:${process.env.PATH ?? ''}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

  /** Runs one of the node's programs to its end, without a shell. Throws only when it cannot be started. */
  run(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<CommandResult> {
    const [command, ...args] = this.prefix
      ? (['nsenter', '--target', '1', '--mount', '--', ...argv] as const)
      : argv;
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, {
        env: { LC_ALL: 'C', HOME: '/root', PATH: this.searchPath, ...options.env },
        stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      });
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
      child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
      let timedOut = false;
      const limit =
        options.timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              timedOut = true;
              if (child.pid !== undefined) killTree(child.pid);
            }, options.timeoutMs);
      child.on('spawn', () => options.onStart?.(child.pid ?? 0));
      child.on('error', (error) => {
        clearTimeout(limit);
        reject(error);
      });
      child.on('close', (code, signal) => {
        clearTimeout(limit);
        resolve({
          code: code ?? 128 + (signal === 'SIGKILL' ? 9 : 15),
          stdout: Buffer.concat(out).toString('utf8'),
          stderr: Buffer.concat(err).toString('utf8'),
          ...(timedOut ? { timedOut } : {}),
        });
      });
      if (child.stdin) {
        // A command that does not read its input to the end is judged by its exit code.
        child.stdin.on('error', () => {});
        child.stdin.end(options.stdin);
      }
    });
  }

  /**
   * Like run, but an exit code other than 0 is an error of the given reason, unless `isFine` says otherwise. `what` begins the
   * sentence.
   */
  async must(
    reason: Reason,
    what: string,
    argv: readonly [string, ...string[]],
    options: CommandOptions & { isFine?: (result: CommandResult) => boolean } = {},
  ): Promise<string> {
    const result = await this.run(argv, options).catch((error: unknown) => {
      throw new LpmError(reason, `${what}: ${argv[0]} cannot be run: ${messageOf(error)}.`, { cause: error });
    });
    if (result.code === 0 || options.isFine?.(result)) return result.stdout;
    const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-5).join('; ');
    throw new LpmError(reason, `${what}: ${argv[0]} ended with exit code ${result.code}: ${said}`, {
      log: result.stderr.slice(-8192),
    });
  }
}

function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}
