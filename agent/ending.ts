import { setTimeout as delay } from 'node:timers/promises';
import { LpmError } from '../common/errors.js';
import type { Logger } from './log.js';

/** Below terminationGracePeriodSeconds (manifests/agent/daemonset.yaml), after which the kubelet kills what has not ended. */
const LIMIT_MS = 50_000;
/** A controller that has not seen that this agent ends may still freeze a pod here: for so long it is served. */
const BEGINS_MS = 15_000;
const POLL_MS = 50;

/**
 * The end of an agent that is told to end. As long as a pod of its node stands frozen for a migration, or is being restored, it goes on
 * serving: its successor comes only when it is gone, and seconds later. It says that it ends (GetPodState.ending), so that the
 * controller freezes nothing more here.
 */
export class Ending {
  #since: number | undefined;

  get begun(): boolean {
    return this.#since !== undefined;
  }

  /**
   * Before a pod is frozen.
   *
   * @throws AgentNotReachable when this agent will not be there for long enough; its successor is asked then
   */
  pass(): void {
    if (this.#since === undefined || performance.now() - this.#since < BEGINS_MS) return;
    throw new LpmError('AgentNotReachable', 'This agent is being replaced; nothing more is frozen by it.', {
      hint: 'Ask again: the next one begins within seconds.',
    });
  }

  /**
   * Waits until nothing on the node needs this agent any more, but not for ever.
   *
   * @param unfinished what it is waited for, as the end of a sentence "… until"; empty when there is nothing
   */
  async lastWork(
    unfinished: () => Promise<string>,
    log: Logger,
    { limitMs = LIMIT_MS }: { limitMs?: number } = {},
  ): Promise<void> {
    const begin = performance.now();
    this.#since = begin;
    let said = '';
    for (;;) {
      const why = await unfinished().catch((error: unknown) => {
        log.warn('what is under way cannot be looked at', { error });
        return '';
      });
      if (why === '') return;
      if (performance.now() - begin > limitMs) {
        log.warn('ending although something is under way', { until: why });
        return;
      }
      if (why !== said) log.info('this agent ends later', { until: why });
      said = why;
      await delay(POLL_MS);
    }
  }
}
