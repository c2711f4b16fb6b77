/**
 * The exports that this process has opened: what is being read is not removed, although somebody has deleted its checkpoint.
 * Nothing but that hangs on it: it may be lost.
 */
import { LpmError } from '../../common/errors.js';
import type { AgentPool } from '../agents/pool.js';
import type { Caches } from '../caches.js';

export class OpenTransfers {
  /** By UID of the checkpoint. */
  readonly #open = new Map<string, { node: string; expires: number }>();

  opened(uid: string, node: string, expires: number): void {
    this.#open.set(uid, { node, expires });
  }

  closed(uid: string): void {
    this.#open.delete(uid);
  }

  /** Asks the agent whether it is still open. */
  async isOpen(
    uid: string,
    { agents, caches, now }: { agents: AgentPool; caches: Caches; now: () => number },
  ): Promise<boolean> {
    const known = this.#open.get(uid);
    if (!known) return false;
    if (known.expires > now()) {
      try {
        const agent = agents.agent(known.node, caches.nodes.get(known.node));
        if (!(await agent.getTransfer(uid)).complete) return true;
      } catch (error) {
        if (!(error instanceof LpmError) || error.retryable) return true;
      }
    }
    this.#open.delete(uid);
    return false;
  }
}
