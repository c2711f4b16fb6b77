import { setTimeout as delay } from 'node:timers/promises';
import { LpmError, messageOf } from '../../common/errors.js';
import { Cri } from '../cri.js';
import type { Host } from '../host.js';
import { readText } from '../oci.js';
import { bootId } from '../process.js';
import { processListeningOn } from './find-process.js';
import { knownRuntime, type Runtime } from './observe.js';
import { offersHandler } from './offers.js';
import { sameProcess, type ProcessId } from './record.js';
import { restartWay, type RestartWay, type RuntimeProcess } from './restart-way.js';

const POLL_MS = 200;
/** A runtime that answers reads its configuration no more: what it does not offer now it will not offer. */
const SETTLE_MS = 5000;

export const identify = ({ pid, startTime }: { pid: number; startTime: string }): ProcessId => ({
  pid,
  startTime,
  bootId: bootId(),
});

/** The container runtime of the node: what it is, and how it is restarted. */
export class RuntimeControl {
  constructor(
    private readonly host: Host,
    /** The node's path of the CRI socket. */
    readonly socket: string,
    private readonly command: string | undefined,
    private readonly patienceMs: number,
  ) {}

  /** The process that listens on the socket. */
  process(): RuntimeProcess | undefined {
    return processListeningOn(this.socket);
  }

  /** @throws RuntimeUnavailable, RuntimeNotSupported */
  async observe(): Promise<Runtime> {
    const process = this.process();
    if (!process) {
      throw new LpmError('RuntimeUnavailable', `No process of this node listens on ${this.socket}.`, {
        hint: 'Is the container runtime running, and --cri-socket its socket?',
      });
    }
    const { runtimeName, runtimeVersion } = await this.ask((cri) => cri.version());
    return knownRuntime(runtimeName, runtimeVersion, process);
  }

  /** undefined: the runtime does not tell. */
  async offers(): Promise<boolean | undefined> {
    return offersHandler(await this.ask((cri) => cri.status()));
  }

  way(process: RuntimeProcess): RestartWay {
    return restartWay(process, { command: this.command, init: readText('/proc/1/comm').trim() });
  }

  /** Restarts it without waiting until it serves again. */
  async restart(way: RestartWay): Promise<void> {
    switch (way.by) {
      case 'command':
        await this.host.must('RuntimeUnavailable', 'The container runtime was not restarted', way.argv, {
          timeoutMs: this.patienceMs,
        });
        return;
      case 'systemd':
        // A unit that failed several times in a row is not started again until this is said.
        await this.host.run(['systemctl', 'reset-failed', way.unit]);
        await this.host.must(
          'RuntimeUnavailable',
          'The container runtime was not restarted',
          ['systemctl', 'restart', way.unit],
          { timeoutMs: this.patienceMs },
        );
        return;
      case 'supervisor':
        try {
          process.kill(way.pid, 'SIGTERM');
        } catch {
          // It has ended already; who supervises it knows.
        }
        return;
      case 'nobody':
        throw new LpmError('RuntimeNotSupported', `The container runtime cannot be restarted: ${way.why}.`, {
          hint: 'Name a command that restarts it with --restart-command, or set the node up by hand.',
        });
    }
  }

  /**
   * Waits until another process than the former one serves, and says whether it knows the handler (undefined: it does not tell).
   * With `expected` it is given a moment to know it, or to know it no more.
   *
   * @throws RuntimeUnavailable when none does in time
   */
  async serving(former: ProcessId, expected?: boolean): Promise<boolean | undefined> {
    const deadline = performance.now() + this.patienceMs;
    let answeredAt: number | undefined;
    let said = 'nothing listens on its socket';
    while (performance.now() < deadline) {
      const process = this.process();
      if (process && !sameProcess(former, identify(process))) {
        try {
          const offers = await this.offers();
          answeredAt ??= performance.now();
          if (offers === undefined || offers === expected || expected === undefined) return offers;
          if (performance.now() - answeredAt > SETTLE_MS) return offers;
        } catch (error) {
          said = messageOf(error);
        }
      }
      await delay(POLL_MS);
    }
    throw new LpmError(
      'RuntimeUnavailable',
      `The container runtime does not serve ${Math.round(this.patienceMs / 1000)} s after its restart: ${said}.`,
    );
  }

  /** Each time over a new connection: one that failed waits longer and longer before it tries again. */
  private async ask<T>(question: (cri: Cri) => Promise<T>): Promise<T> {
    const cri = new Cri(this.host.path(this.socket));
    try {
      return await question(cri);
    } finally {
      cri.close();
    }
  }
}
