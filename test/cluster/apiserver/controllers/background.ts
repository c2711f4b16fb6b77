/** Work of the control plane that nobody waits for: in its own turn, and a mistake in it does not end the server. */

export function inBackground(controller: string, work: () => void): NodeJS.Immediate {
  return setImmediate(guarded(controller, work));
}

export function guarded(controller: string, work: () => void): () => void {
  return () => {
    try {
      work();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.stderr.write(`apiserver: ${controller}: ${text}\n`);
    }
  };
}
