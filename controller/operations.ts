/** Work that is going on in this process, by name: started once, its progress and outcome kept to be looked at. */
import type { Progress } from '../proto/gen/lpm/v1/agent.js';
import { toFailure, type Failure } from './agents/failure.js';
import type { Operation } from './migration/observed.js';

export class OperationSet<Operations extends { [Name in keyof Operations]: Operation<unknown> }> {
  #operations: Operations;

  constructor(
    none: Operations,
    /** Called after each change, so that somebody looks again. */
    private readonly changed: () => void,
    private readonly onFailure: (name: string, failure: Failure, error: unknown) => void = () => {},
    private readonly now: () => number = Date.now,
  ) {
    this.#operations = none;
  }

  get all(): Operations {
    return this.#operations;
  }

  get busy(): boolean {
    return Object.values(this.#operations).some(
      (operation) => (operation as Operation<unknown>).state === 'running',
    );
  }

  /** Starts the work unless it is going on already. Its outcome is kept; it never throws. */
  start<Name extends keyof Operations>(
    name: Name,
    work: (onProgress: (progress: Progress) => void) => Promise<unknown>,
  ): void {
    const old: Operation<unknown> = this.#operations[name];
    if (old.state === 'running') return;
    const attempts = old.state === 'failed' ? old.attempts + 1 : 1;
    const firstAt = old.state === 'failed' ? old.firstAt : undefined;
    const since = this.now();
    this.#set(name, { state: 'running', since, attempts });
    const onProgress = (progress: Progress) => {
      const operation: Operation<unknown> = this.#operations[name];
      if (operation.state !== 'running') return;
      this.#set(name, { ...operation, progress });
      this.changed();
    };
    work(onProgress)
      .then(
        (value) => this.#set(name, { state: 'done', value, at: this.now() }),
        (error: unknown) => {
          const failure = toFailure(error);
          const at = this.now();
          this.#set(name, { state: 'failed', failure, at, firstAt: firstAt ?? at, attempts });
          this.onFailure(String(name), failure, error);
        },
      )
      .finally(this.changed);
  }

  #set(name: keyof Operations, operation: Operation<unknown>): void {
    this.#operations = { ...this.#operations, [name]: operation };
  }
}
