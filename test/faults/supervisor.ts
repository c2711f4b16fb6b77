import type { Cluster } from '../cluster/cluster.js';
import { readRecord } from '../cluster/cluster-record.js';
import { isRunning } from '../cluster/processes.js';

/**
 * Starts the controller again when it has died, as a Deployment would (the nodes' own supervisor does so for the agents).
 * @returns how to end it; resolves when nothing is being started any more
 */
export function superviseController(cluster: Cluster, everyMs = 100): () => Promise<void> {
  let starting: Promise<void> | undefined;
  const timer = setInterval(() => {
    const controller = readRecord(cluster.layout)?.processes.controller;
    if (starting || !controller || isRunning(controller)) return;
    starting = cluster.restart('controller').finally(() => (starting = undefined));
  }, everyMs);
  return async () => {
    clearInterval(timer);
    await starting;
  };
}
