/** Says of containers that wait out a back-off why they do not run: as an event, and in the pod's status. */
import type { NodeContext } from './node-context.js';
import { isRunning, type ObservedPod } from './observed.js';
import { backoffKey, type BackingOff } from './plan.js';
import { namespaceOf, specOf, uidOf, type Pod } from './pod.js';
import type { Waiting } from './status.js';

/** @param waiting is brought up to date: container name → why it waits. */
export function noteCrashLoops(
  { backoff, events }: NodeContext,
  pod: Pod,
  observed: ObservedPod,
  backingOff: BackingOff,
  waiting: Map<string, Waiting>,
): void {
  const runs = (name: string): boolean =>
    observed.containers.some((run) => run.metadata?.name === name && isRunning(run));
  for (const container of [...(specOf(pod).initContainers ?? []), ...specOf(pod).containers]) {
    const { name } = container;
    if (!backingOff.has(name)) {
      if (runs(name)) waiting.delete(name);
      continue;
    }
    const what = `restarting failed container=${name} pod=${pod.metadata.name}_${namespaceOf(pod)}(${uidOf(pod)})`;
    // A start that failed keeps its own reason; a container that ran and ended is crash looping.
    if (waiting.get(name)?.reason !== 'CrashLoopBackOff') {
      const words = what.replace('container=', 'container ').replace('pod=', 'in pod ');
      events.record(pod, 'Warning', 'BackOff', `Back-off ${words}`, container);
    }
    const message = `back-off ${waitOf(backoff.waitMs(backoffKey(pod, container)))} ${what}`;
    waiting.set(name, { reason: 'CrashLoopBackOff', message });
  }
}

function waitOf(ms: number): string {
  const seconds = ms / 1000;
  return seconds >= 60 ? `${Math.floor(seconds / 60)}m${seconds % 60}s` : `${seconds}s`;
}
