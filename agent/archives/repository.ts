import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { LpmError } from '../../common/errors.js';
import type { RepositoryState } from '../../proto/gen/lpm/v1/agent.js';
import { isRepositoryFile } from './layout.js';
import type { Listed } from './repository-files.js';
import { notShared, type SharingMode } from './sharing.js';
import type { Sidecar } from './sidecar.js';
import { WORKER_COMMAND, type Answer, type Job, type Jobs } from './worker.js';

export interface RepositoryOptions {
  /** Absolute path, as this process sees it. */
  path: string;
  sharing: SharingMode;
  /** Milliseconds for which nothing may move before the repository counts as gone. */
  patienceMs: number;
  nodeName: string;
  /** The command of a worker; this program itself unless a test says otherwise. */
  worker?: readonly [string, ...string[]];
  /** mountinfo of this process and of the node's first one. */
  mountinfo?: () => { own: string; node: string };
  /** Stands in a worker's command line, so that the next agent can find and end what this one left behind. */
  owner: string;
}

/** A worker that has nothing to do ends after this time. */
const IDLE_MS = 30_000;
/** What is known of the room is this old at most. */
const SPACE_MS = 5_000;

/**
 * The repository that the nodes share, as this agent sees it. Nothing of it is touched by this process: an NFS server that is
 * gone lets every call hang for ever. A process of its own does, and is killed when nothing moves for too long.
 */
export class Repository {
  readonly path: string;
  private idle: ChildProcess | undefined;
  private idleTimer: NodeJS.Timeout | undefined;
  /** Killed, and not yet gone: it hangs in the kernel, and one more would do the same. */
  private hanging = 0;
  private space: { at: number; answer: Promise<{ freeBytes: number }> } | undefined;

  constructor(private readonly options: RepositoryOptions) {
    this.path = options.path;
  }

  /** Why archives are not put there, a sentence; empty when they are. Does not touch it. */
  problem(): string {
    const { own, node } = (this.options.mountinfo ?? readMountinfo)();
    const why = notShared(this.options.sharing, this.path, own, node);
    return why ? `The repository ${this.path} on node ${this.options.nodeName} ${why}.` : '';
  }

  async state(): Promise<RepositoryState> {
    const problem = this.problem();
    if (problem) return { shared: false, problem, freeBytes: 0n };
    try {
      if (!this.space || performance.now() - this.space.at > SPACE_MS) {
        const asked = { at: performance.now(), answer: this.ask('space', {}) };
        this.space = asked;
        // Whoever has just repaired the mount is not told for seconds that it is broken.
        asked.answer.catch(() => {
          if (this.space === asked) this.space = undefined;
        });
      }
      const { freeBytes } = await this.space.answer;
      return { shared: true, problem: '', freeBytes: BigInt(freeBytes) };
    } catch (error) {
      if (error instanceof LpmError) return { shared: false, problem: error.message, freeBytes: 0n };
      throw error;
    }
  }

  /** @throws RepositoryUnavailable, NoSpace, NameTaken when there is another archive of that name */
  async put(
    what: { from: string; file: string; sidecar: Sidecar },
    onBytes: (bytes: number) => void = () => {},
    signal?: AbortSignal,
  ): Promise<void> {
    await this.ask('put', what, { onBytes, ...(signal ? { signal } : {}) });
  }

  /** What is there of a cluster. */
  list(clusterUid: string): Promise<Listed[]> {
    return this.ask('list', { clusterUid });
  }

  /**
   * Removes an archive, also one that was only begun, and answers the bytes that this frees. None there is no error.
   *
   * @throws ArchiveMismatch when it is not known to be that checkpoint's
   */
  async remove(file: string, checkpointUid: string): Promise<number> {
    return (await this.ask('remove', { file, checkpointUid })).bytes;
  }

  /** @throws ArchiveNotFound, ArtifactInvalid for what is no file, RepositoryUnavailable also while it is read */
  async open(file: string): Promise<{ bytes: AsyncIterable<Buffer>; size: number }> {
    if (!isRepositoryFile(file)) throw new LpmError('InvalidArgument', `"${file}" is no archive's name.`);
    this.mustBeThere();
    const child = this.start();
    try {
      const { size } = await this.answer<Jobs['read']['answers']>(child, {
        name: 'read',
        repository: this.path,
        file,
      });
      return { bytes: this.patiently(child, size), size };
    } catch (error) {
      this.kill(child);
      throw error;
    }
  }

  /** Ends the worker. */
  close(): void {
    if (this.idle) this.kill(this.idle);
    this.idle = undefined;
    clearTimeout(this.idleTimer);
  }

  private async *patiently(child: ChildProcess, size: number): AsyncGenerator<Buffer> {
    const out = child.stdout!;
    let late = false;
    let timer: NodeJS.Timeout | undefined;
    const wind = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        late = true;
        out.destroy(this.gone(`has sent nothing for ${this.options.patienceMs / 1000} s`));
      }, this.options.patienceMs);
    };
    let left = size;
    try {
      wind();
      for await (const chunk of out as AsyncIterable<Buffer>) {
        // Whoever reads may take its time.
        clearTimeout(timer);
        left -= chunk.length;
        yield chunk;
        wind();
      }
      if (left !== 0) throw this.gone('ended before the archive did');
    } finally {
      clearTimeout(timer);
      this.kill(child, late);
    }
  }

  private async ask<Name extends keyof Jobs>(
    name: Name,
    asks: Jobs[Name]['asks'],
    watching: { onBytes?: (bytes: number) => void; signal?: AbortSignal } = {},
  ): Promise<Jobs[Name]['answers']> {
    this.mustBeThere();
    clearTimeout(this.idleTimer);
    const child = this.idle?.connected ? this.idle : this.start();
    this.idle = undefined;
    try {
      const job = { name, repository: this.path, ...asks } as Job;
      return await this.answer<Jobs[Name]['answers']>(child, job, watching);
    } finally {
      if (child.connected && !child.killed && !this.idle) {
        this.idle = child;
        this.idleTimer = setTimeout(() => this.close(), IDLE_MS);
        this.idleTimer.unref();
      } else {
        this.kill(child);
      }
    }
  }

  private answer<Value>(
    child: ChildProcess,
    job: Job,
    { onBytes, signal }: { onBytes?: (bytes: number) => void; signal?: AbortSignal } = {},
  ): Promise<Value> {
    return new Promise<Value>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const wind = (): void => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          this.kill(child, true);
          end(() => reject(this.gone(`has not answered for ${this.options.patienceMs / 1000} s`)));
        }, this.options.patienceMs);
      };
      const onMessage = (answer: Answer): void => {
        switch (answer.kind) {
          case 'bytes':
            wind();
            onBytes?.(answer.bytes);
            return;
          case 'done':
            return end(() => resolve(answer.value as Value));
          case 'failed':
            return end(() => reject(this.explain(answer)));
        }
      };
      const onExit = (): void => end(() => reject(this.gone('cannot be used: its worker has ended')));
      const onAbort = (): void => {
        this.kill(child);
        end(() => reject(new LpmError('Canceled', 'The checkpoint was canceled.')));
      };
      const end = (then: () => void): void => {
        clearTimeout(timer);
        child.off('message', onMessage).off('exit', onExit).off('error', onExit);
        signal?.removeEventListener('abort', onAbort);
        then();
      };
      child.on('message', onMessage).once('exit', onExit).once('error', onExit);
      signal?.addEventListener('abort', onAbort);
      wind();
      if (signal?.aborted) return onAbort();
      // An error here is that it has just ended, which `exit` tells.
      child.send(job, () => {});
    });
  }

  private start(): ChildProcess {
    if (this.hanging > 0) throw this.gone('hangs: the process that tried it last cannot even be killed');
    const program = this.options.worker ?? [process.execPath, ...process.execArgv, process.argv[1] ?? ''];
    const [command = '', ...args] = [...program, ...workerArguments(this.options.owner)];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    child.unref();
    child.channel?.unref();
    (child.stdout as (Readable & { unref?(): void }) | null)?.unref?.();
    return child;
  }

  private kill(child: ChildProcess, hangs = false): void {
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (hangs) {
      this.hanging++;
      void once(child, 'exit').then(() => this.hanging--);
    }
    child.kill('SIGKILL');
  }

  private mustBeThere(): void {
    const problem = this.problem();
    if (problem) {
      throw new LpmError('RepositoryUnavailable', problem, {
        hint: `Mount the shared storage at ${this.path}.`,
      });
    }
  }

  private explain({ code, message }: { code: string; message: string }): LpmError {
    switch (code) {
      case 'TAKEN':
        return new LpmError('NameTaken', message);
      case 'MISMATCH':
        return new LpmError('ArchiveMismatch', message);
      case 'NOT_FOUND':
        return new LpmError('ArchiveNotFound', message);
      case 'NO_FILE':
        return new LpmError('ArtifactInvalid', message);
      case 'FULL':
      case 'ENOSPC':
      case 'EDQUOT':
        return new LpmError('NoSpace', `The repository ${this.path} is full.`, { hint: 'Make room there.' });
      case 'EROFS':
        return this.gone('is mounted read-only');
      case 'EACCES':
      case 'EPERM':
        return this.gone('cannot be written: permission denied');
      case 'ENOENT':
      case 'ENOTDIR':
        return this.gone('is not there');
      default:
        return this.gone(`cannot be used: ${message}`);
    }
  }

  private gone(what: string): LpmError {
    return new LpmError(
      'RepositoryUnavailable',
      `The repository ${this.path} on node ${this.options.nodeName} ${what}.`,
      { hint: 'Look at the shared storage and how it is mounted on this node.' },
    );
  }
}

/** What a worker's command line ends with. */
export const workerArguments = (owner: string): [string, string] => [WORKER_COMMAND, owner];

function readMountinfo(): { own: string; node: string } {
  const own = readFileSync('/proc/self/mountinfo', 'utf8');
  try {
    return { own, node: readFileSync('/proc/1/mountinfo', 'utf8') };
  } catch {
    return { own, node: own };
  }
}
