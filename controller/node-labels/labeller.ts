/** Asks every node's agent once in a while how ready the node is, and writes it on the node. */
import type { Node } from '../../common/kube/types.js';
import type { Parts } from '../parts.js';
import { nodePatch } from './wanted.js';

/** An agent that is replaced is back within a minute. */
const SILENT_MS = 120_000;

export class NodeLabeller {
  readonly #answeredAt = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    private readonly parts: Parts,
    private readonly everyMs = 30_000,
  ) {}

  start(): void {
    this.#next(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #next(afterMs: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.look().finally(() => this.#next(this.everyMs));
    }, afterMs);
    this.#timer.unref();
  }

  async look(): Promise<void> {
    const nodes = this.parts.caches.nodes.list();
    const names = new Set(nodes.map(({ metadata }) => metadata.name));
    for (const name of this.#answeredAt.keys()) if (!names.has(name)) this.#answeredAt.delete(name);
    await Promise.all(nodes.map((node) => this.#label(node)));
  }

  async #label(node: Node): Promise<void> {
    const { agents, client, log, now } = this.parts;
    const { name } = node.metadata;
    try {
      const said = await agents
        .agent(name, node)
        .getNodeInfo()
        .catch(() => undefined);
      // A controller that has just begun gives everybody as long.
      const answeredAt = this.#answeredAt.get(name) ?? now();
      this.#answeredAt.set(name, said ? now() : answeredAt);
      if (!said && now() - answeredAt < SILENT_MS) return;
      const patch = nodePatch(node, said);
      if (!patch || this.#stopped) return;
      await client.nodes.patch(name, undefined, patch);
      log.info(`Node ${name} is labelled.`, { node: name, ...patch.metadata.labels });
    } catch (error) {
      log.warn(`Node ${name} cannot be labelled: ${String(error)}`, { node: name });
    }
  }
}
