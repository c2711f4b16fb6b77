/** Takes part in an election: asks and writes what election.ts decides, and tells when the leadership begins and ends. */
import { setTimeout as after } from 'node:timers';
import { LpmError, messageOf } from '../../common/errors.js';
import { ApiError } from '../../common/kube/api-error.js';
import { pause } from '../../common/kube/backoff.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Lease } from '../../common/kube/types.js';
import { EventRecorder } from '../events.js';
import type { Log } from '../log.js';
import {
  believes,
  candidate,
  conflicted,
  ended,
  looked,
  nextStep,
  unanswered,
  written,
  type Candidate,
  type ElectionTimes,
} from './election.js';
import { heldLease, releasedLease, seenOf } from './lease.js';
import type { Leadership } from './leadership.js';

export interface ElectorOptions {
  /**
   * A client of the election's own: nothing else may keep its requests waiting. Its timeout must be shorter than
   * renewDeadlineMs, so that a request that is lost can be asked again in time.
   */
  client: KubeClient;
  namespace: string;
  name: string;
  /** Unique among all processes that ever take part. */
  identity: string;
  /** Of this program, to be told on the Lease. */
  version?: string;
  times: ElectionTimes;
  log: Log;
  /** Milliseconds that never jump; default: since the process began. */
  clock?: () => number;
}

export class LeaderElector implements Leadership {
  readonly acquired: Promise<void>;
  #resolveAcquired!: () => void;
  readonly #lost = new AbortController();
  readonly #stop = new AbortController();
  readonly #clock: () => number;
  readonly #events: EventRecorder;
  #state: Candidate;
  /** The object that `#state.seen` was read from. */
  #lease: Lease | undefined;
  /** The lease was there or could be written: what fails from now on may pass. */
  #everUsed = false;
  #released = false;
  #failures = 0;
  #watchdog: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(private readonly options: ElectorOptions) {
    this.#clock = options.clock ?? (() => performance.now());
    this.#state = candidate(options.identity);
    this.acquired = new Promise((resolve) => (this.#resolveAcquired = resolve));
    this.#events = new EventRecorder(options.client.events, options.identity, (error) =>
      options.log.debug(`An event about the lease cannot be written: ${messageOf(error)}`),
    );
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get isLeader(): boolean {
    return believes(this.#state, this.#clock(), this.options.times);
  }

  assertLeader(): void {
    if (!this.isLeader) throw this.#notLeader();
  }

  /**
   * Takes part until the leadership is lost or released. Rejects with LpmError when it cannot take part at all: no rights,
   * no namespace.
   */
  run(): Promise<void> {
    return (this.#running ??= this.#run());
  }

  /** Stops taking part; if this process leads, it does not from now on, and the next one need not wait. */
  async release(): Promise<void> {
    const led = this.isLeader;
    this.#released = true;
    this.#state = ended(this.#state, 'it was released');
    clearTimeout(this.#watchdog);
    this.#stop.abort();
    await this.#running?.catch(() => {});
    if (!led || !this.#lease) return;
    const { client, identity, log } = this.options;
    try {
      await client.leases.replace(releasedLease(this.#lease, new Date()));
      this.#event(`${identity} stopped leading`);
      await this.#events.flush();
    } catch (error) {
      log.warn(
        `The lease cannot be released, so the next controller waits until it ends: ${messageOf(error)}`,
      );
    }
  }

  async #run(): Promise<void> {
    const { times } = this.options;
    for (;;) {
      const step = nextStep(this.#state, this.#clock(), times);
      switch (step.do) {
        case 'wait':
          await pause(step.ms, this.#stop.signal);
          break;
        case 'look':
          await this.#attempt(() => this.#look());
          break;
        case 'take':
        case 'renew':
          await this.#attempt(() => this.#write());
          break;
        case 'lost':
          return this.#end(step.why);
        default:
          step satisfies never;
      }
    }
  }

  async #look(): Promise<void> {
    const { client, namespace, name, times } = this.options;
    const lease = await client.leases.find(name, namespace);
    this.#lease = lease;
    // That there is none says nothing: neither whether we may make one, nor whether its namespace exists.
    if (lease) this.#used();
    this.#state = looked(this.#state, lease && seenOf(lease), this.#clock(), times);
  }

  async #write(): Promise<void> {
    const { client, namespace, name, identity, times, version = 'unknown' } = this.options;
    const lease = heldLease(
      this.#lease,
      { name, namespace },
      identity,
      times.leaseDurationMs,
      new Date(),
      version,
    );
    const sentAt = this.#clock();
    try {
      this.#lease = await (this.#lease
        ? client.leases.replace(lease)
        : client.leases.create(lease, namespace));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const changed =
        error.isConflict || error.isAlreadyExists || (error.isNotFound && this.#lease !== undefined);
      if (!changed) throw error;
      this.#used();
      this.#state = conflicted(this.#state, this.#clock());
      return;
    }
    this.#used();
    const first = this.#state.heldFrom === undefined;
    this.#state = written(this.#state, seenOf(this.#lease), sentAt, this.#clock(), times);
    if (!this.isLeader) return;
    this.#watch(sentAt + times.renewDeadlineMs);
    if (first) this.#begin();
  }

  #used(): void {
    this.#everUsed = true;
    this.#failures = 0;
  }

  /** One request; a failure is tried again after a while, one that will not pass ends the program when it comes first. */
  async #attempt(request: () => Promise<void>): Promise<void> {
    const { log, namespace, name, times } = this.options;
    try {
      await request();
    } catch (error) {
      if (!this.#everUsed && error instanceof ApiError && (error.isForbidden || error.isNotFound)) {
        throw new LpmError(
          'NotAuthorized',
          `The lease ${namespace}/${name} cannot be used: ${error.message}`,
          {
            hint: `Replicas of the controller agree by it who acts. Its namespace must exist and the controller may get, create and update leases in it; --no-leader-elect goes without, for a single controller.`,
            cause: error,
          },
        );
      }
      this.#state = unanswered(this.#state, this.#clock(), times);
      this.#failures += 1;
      if (Number.isInteger(Math.log2(this.#failures))) {
        log.warn(`The lease ${namespace}/${name} cannot be read or written: ${messageOf(error)}`, {
          attempt: this.#failures,
        });
      }
    }
  }

  #begin(): void {
    const { identity, log, namespace, name } = this.options;
    log.info(`This controller leads: it holds the lease ${namespace}/${name}.`, { identity });
    this.#event(`${identity} became leader`);
    this.#resolveAcquired();
  }

  /** A request that hangs must not keep us from noticing that the time is over. */
  #watch(deadline: number): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = after(
      () => {
        const step = nextStep(this.#state, this.#clock(), this.options.times);
        // Timers may fire a little early.
        if (step.do !== 'lost') return this.#watch(this.#clock() + 1);
        this.#end(step.why);
      },
      Math.max(0, deadline - this.#clock()),
    );
  }

  #end(why: string): void {
    const led = this.#state.heldFrom !== undefined;
    this.#state = ended(this.#state, why);
    clearTimeout(this.#watchdog);
    this.#stop.abort();
    if (led && !this.#released) this.#lost.abort(this.#notLeader());
  }

  #notLeader(): LpmError {
    const { identity } = this.options;
    const why =
      this.#state.over ?? (this.#state.heldFrom === undefined ? 'another one does' : 'its time is over');
    return new LpmError('NotLeader', `This controller (${identity}) does not lead: ${why}.`, {
      hint: 'Another replica acts; started again, this one stands by.',
    });
  }

  #event(message: string): void {
    if (!this.#lease) return;
    this.#events.record(
      { ...this.#lease, apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' },
      'Normal',
      'LeaderElection',
      message,
    );
  }
}
