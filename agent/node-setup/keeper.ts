import { LpmError } from '../../common/errors.js';
import type { Logger } from '../log.js';
import { Gate } from './gate.js';
import type { Outcome } from './set-up.js';

export type SetUpStatus =
  | { state: 'off' | 'working'; message: string }
  | Exclude<Outcome, { state: 'ready' }>
  | { state: 'ready'; message: string };

/** How long a set-up that has to wait, and one that is done, is left alone. */
const WAITING_MS = 5000;
const READY_MS = 60_000;

export interface KeeperParts {
  /** @param inProgress checkpoints and restores that the agent works at */
  setUp: (gate: Gate, inProgress: () => number) => Promise<Outcome>;
  /** Whether the runtime still knows the handler; undefined when it does not tell. */
  offers: () => Promise<boolean | undefined>;
  /** Called after each attempt. */
  onOutcome: (outcome: Outcome) => void;
  log: Logger;
}

/**
 * Sets the node up, and again when somebody has written the runtime's files anew. What failed is not tried again before the agent
 * starts again: each attempt may restart the runtime.
 */
export class NodeKeeper {
  readonly gate = new Gate();
  private current: SetUpStatus = { state: 'off', message: '' };
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private stopped = false;
  private inProgress = (): number => 0;

  /** @param parts undefined: the node is set up by hand */
  constructor(private readonly parts?: KeeperParts) {}

  get status(): SetUpStatus {
    return this.current;
  }

  /** Resolves when the first attempt is over, however it ended. */
  start(inProgress: () => number): Promise<void> {
    if (!this.parts) return Promise.resolve();
    this.inProgress = inProgress;
    this.current = { state: 'working', message: 'The node is being set up.' };
    return this.attempt(this.parts);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    // Half of a change of the runtime is worse than a late end.
    await this.running;
  }

  private attempt(parts: KeeperParts): Promise<void> {
    const work = async (): Promise<void> => {
      const outcome = await parts.setUp(this.gate, this.inProgress);
      if (outcome.message !== this.current.message) {
        parts.log.info('set-up of the node', { state: outcome.state, said: outcome.message });
      }
      this.current = { state: outcome.state, message: outcome.message };
      parts.onOutcome(outcome);
      this.next(parts, outcome.state);
    };
    this.running = work();
    return this.running;
  }

  private next(parts: KeeperParts, state: Outcome['state']): void {
    if (this.stopped || state === 'failed') return;
    const wait = state === 'waiting' ? WAITING_MS : READY_MS;
    this.timer = setTimeout(() => {
      this.running = this.look(parts, state);
    }, wait);
    this.timer.unref();
  }

  private async look(parts: KeeperParts, state: Outcome['state']): Promise<void> {
    try {
      if (state === 'ready' && (await parts.offers()) !== false) return this.next(parts, state);
    } catch (error) {
      // It is being restarted, or has ended: that is for others to mend.
      if (!(error instanceof LpmError)) throw error;
      return this.next(parts, state);
    }
    await this.attempt(parts);
  }
}
