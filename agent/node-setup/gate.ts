import { LpmError } from '../../common/errors.js';

/** Keeps checkpoints and restores from beginning while the container runtime is being restarted. */
export class Gate {
  private closed = 0;

  /** @throws RuntimeUnavailable while it is closed: the same call succeeds in a moment */
  pass(): void {
    if (this.closed === 0) return;
    throw new LpmError(
      'RuntimeUnavailable',
      "The container runtime of this node is being restarted for the node's set-up.",
      { hint: 'Ask again in a minute.' },
    );
  }

  close(): () => void {
    this.closed += 1;
    let open = false;
    return () => {
      if (!open) this.closed -= 1;
      open = true;
    };
  }
}
