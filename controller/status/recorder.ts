/**
 * Writes the status of one object to the API server in the background and in order, so that nothing that is urgent waits
 * for it. Every phase and every condition that was recorded is written, one after the other; of changes in between (the
 * progress of a step) only the newest counts, at most once in a while.
 *
 * Whoever acts for an object is the only writer of its status. A status that is not the one that was last read or written
 * here means that somebody else acts for it now (another controller, while this one was cut off or stood still): nothing
 * is written over it, and who waits for what was recorded is told so.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Condition } from '../../common/api/schema.js';
import { LpmError } from '../../common/errors.js';
import { faultPoint } from '../../common/fault-point.js';
import { ApiError } from '../../common/kube/api-error.js';
import { backoffMs, pause } from '../../common/kube/backoff.js';
import type { KubeObject } from '../../common/kube/types.js';

interface Recorded extends KubeObject {
  status?: { phase?: string; conditions?: Condition[] };
}

/** The verbs that are needed: a ResourceClient has them. */
export interface StatusClient<T extends KubeObject> {
  find(name: string, namespace?: string): Promise<T | undefined>;
  replaceStatus(object: T): Promise<T>;
}

export interface RecorderOptions {
  /** Least time between two writes of mere progress; default 250 ms. */
  progressMs?: number;
  onError?: (error: unknown) => void;
  /** Called once, when it is seen that somebody else acts for the object. */
  onSuperseded?: () => void;
}

export class StatusRecorder<T extends Recorded> {
  #object: T;
  #status: T['status'];
  #written: T['status'];
  /** Sent, and perhaps written although no answer came. */
  #unanswered: T['status'][] = [];
  readonly #queue: T['status'][] = [];
  #writing: Promise<void> | undefined;
  #hurry = new AbortController();
  #lastWrite = 0;
  #error: unknown;
  #gone = false;
  #superseded: LpmError | undefined;

  constructor(
    object: T,
    private readonly client: StatusClient<T>,
    private readonly options: RecorderOptions = {},
  ) {
    this.#object = object;
    this.#status = this.#written = object.status;
  }

  /** The newest status, written or not. */
  get status(): T['status'] {
    return this.#status;
  }

  /** The object as it was last read or written. */
  get object(): T {
    return this.#object;
  }

  /** The object is not there any more: nothing is written. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Somebody else acts for the object: nothing is written, and nothing may be started. */
  get superseded(): boolean {
    return this.#superseded !== undefined;
  }

  /**
   * Takes over the object as it stands on the API server; undefined: it is not there any more. Its metadata and spec may be
   * anybody's; with a status that is not ours this recorder is superseded.
   */
  adopt(live: T | undefined): void {
    if (this.#superseded) return;
    if (!live || live.metadata.uid !== this.#object.metadata.uid) {
      this.#gone = true;
      this.#queue.length = 0;
      return;
    }
    const unanswered = this.#unanswered.find((status) => same(status, live.status));
    if (unanswered === undefined && !same(live.status, this.#object.status)) {
      const { name } = live.metadata;
      return this.#supersede(
        new LpmError(
          'Superseded',
          `The status of ${name} was written by somebody else: another controller acts for it.`,
        ),
      );
    }
    this.#object = live;
    if (unanswered === undefined) return;
    this.#unanswered = [];
    this.#written = unanswered;
    if (this.#queue[0] === unanswered) this.#queue.shift();
  }

  /** Notes a status to be written. */
  record(status: NonNullable<T['status']>): void {
    if (isDeepStrictEqual(status, this.#status)) return;
    this.#status = status;
    if (this.#gone || this.#superseded) return;
    const last = this.#queue.at(-1);
    if (last && milestone(last) === milestone(status)) this.#queue[this.#queue.length - 1] = status;
    else this.#queue.push(status);
    if (milestone(status) !== milestone(this.#written)) this.#hurry.abort();
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
  }

  /**
   * Resolves when everything that was recorded stands on the API server; throws when it refused it, and when somebody else
   * acts for the object (reason Superseded) or this process may not act any more (NotLeader).
   */
  async flush(): Promise<void> {
    this.#error = undefined;
    this.#hurry.abort();
    while (this.#writing) await this.#writing;
    // What was refused before is not forgotten: who waits must not take it for written.
    if (
      this.#error === undefined &&
      !this.#gone &&
      !this.#superseded &&
      !isDeepStrictEqual(this.#written, this.#status)
    ) {
      this.#queue.push(this.#status);
      this.#writing = this.#write().finally(() => (this.#writing = undefined));
      await this.#writing;
    }
    if (this.#superseded) throw this.#superseded;
    if (this.#error !== undefined) throw this.#error;
  }

  async #write(): Promise<void> {
    // In its own turn, so that what is recorded together is written together.
    await Promise.resolve();
    for (let failures = 0; this.#queue.length > 0 && !this.#gone && !this.#superseded;) {
      if (milestone(this.#queue[0]) === milestone(this.#written)) {
        const wait = this.#lastWrite + (this.options.progressMs ?? 250) - Date.now();
        if (wait > 0) await pause(wait, this.#hurry.signal);
      }
      this.#hurry = new AbortController();
      const status = this.#queue[0];
      try {
        FAULT: await faultPoint('controller.status.before');
        const written = await this.client.replaceStatus({ ...this.#object, status });
        FAULT: await faultPoint('controller.status.after');
        this.#object = written;
        this.#lastWrite = Date.now();
        this.#written = status;
        this.#unanswered = [];
        // It may have been replaced by a newer one meanwhile.
        if (this.#queue[0] === status) this.#queue.shift();
        failures = 0;
      } catch (error) {
        if (error instanceof ApiError && (error.isConflict || error.isNotFound)) {
          await this.#reread();
        } else if (error instanceof LpmError && error.reason === 'NotLeader') {
          this.#supersede(error);
        } else if (error instanceof ApiError && !error.isTransient) {
          // It would be refused again: a status that breaks the schema, or missing rights.
          this.#error = error;
          this.options.onError?.(error);
          this.#queue.shift();
        } else {
          failures += 1;
          if (this.#unanswered.at(-1) !== status) this.#unanswered.push(status);
          this.options.onError?.(error);
          await pause(backoffMs(failures, { initialMs: 100, maxMs: 5000 }));
        }
      }
    }
  }

  async #reread(): Promise<void> {
    try {
      const { name, namespace } = this.#object.metadata;
      this.adopt(await this.client.find(name, namespace));
    } catch (error) {
      this.options.onError?.(error);
      await pause(500);
    }
  }

  #supersede(why: LpmError): void {
    this.#superseded = why;
    this.#queue.length = 0;
    this.options.onSuperseded?.();
  }
}

/** Equal as they go over the wire, where a key without a value is none. */
function same(a: object | undefined, b: object | undefined): boolean {
  const plain = (status: object | undefined): unknown => JSON.parse(JSON.stringify(status ?? {}));
  return isDeepStrictEqual(plain(a), plain(b));
}

/** What of a status must be seen by watchers: its phase and the state of its conditions. */
function milestone(status: Recorded['status']): string {
  return JSON.stringify([
    status?.phase,
    status?.conditions?.map(({ type, status, reason }) => [type, status, reason]),
  ]);
}
