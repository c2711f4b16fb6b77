/** Kills the controller and an agent at times that are drawn anew for each migration. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.js';
import { readRecord } from '../cluster/cluster-record.js';
import { signalProcess } from '../cluster/processes.js';

/** A migration of the counter takes two to four seconds, longer when it is disturbed; some kills come when it is over. */
const WITHIN_MS = 4000;

export interface Kill {
  who: string;
  afterMs: number;
}

export function planKills(nodes: readonly string[], draw: () => number): Kill[] {
  const agent = nodes[Math.floor(draw() * nodes.length)]!;
  return ['controller', `agent on ${agent}`]
    .map((who) => ({ who, afterMs: Math.round(draw() * WITHIN_MS) }))
    .sort((a, b) => a.afterMs - b.afterMs);
}

/** Carries the kills out, from now on; those whose time has not come when `signal` is given do not happen. Answers those that did. */
export async function carryOut(
  cluster: Cluster,
  kills: readonly Kill[],
  signal: AbortSignal,
): Promise<Kill[]> {
  const begin = performance.now();
  const done: Kill[] = [];
  for (const kill of kills) {
    const wait = Math.max(0, kill.afterMs - (performance.now() - begin));
    await delay(wait, undefined, { signal }).catch(() => {});
    if (signal.aborted) return done;
    if (await happen(cluster, kill)) done.push(kill);
  }
  return done;
}

/** False when there was none to kill: the former one is just being started again. */
async function happen(cluster: Cluster, { who }: Kill): Promise<boolean> {
  const node = cluster.nodes.find(({ name }) => who === `agent on ${name}`);
  if (node) {
    return node.restartService('agent', { signal: 'KILL' }).then(
      () => true,
      () => false,
    );
  }
  const controller = readRecord(cluster.layout)?.processes.controller;
  return controller !== undefined && signalProcess(controller, 'SIGKILL');
}
