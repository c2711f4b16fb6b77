import { follow, type Sighting } from './follow.js';
import type { Display } from './progress/display.js';
import type { ResourceClient } from '../common/kube/client.js';
import type { KubeObject } from '../common/kube/types.js';

type Phased = KubeObject & { status?: { phase?: string } };

export type Outcome<T> =
  | { how: 'succeeded' | 'failed'; object: T }
  | { how: 'deleted' | 'timedOut' | 'detached'; object: T | undefined };

export interface AwaitOptions<T> {
  resource: ResourceClient<T & KubeObject>;
  name: string;
  namespace: string;
  display: Display<T>;
  /** Milliseconds to wait; 0 waits for ever. */
  timeoutMs: number;
  /** Aborted when the person does not want to wait any longer. */
  detach: AbortSignal;
  /** What to say when nobody has taken up the object after so many milliseconds. */
  idle: { afterMs: number; note: string };
  /** Told of each state before it is displayed. */
  onState?: (object: T) => void;
}

/** Shows the way of an object until it has succeeded, failed or is gone, or the time is over, or the person leaves. */
export async function awaitOutcome<T extends Phased>(options: AwaitOptions<T>): Promise<Outcome<T>> {
  const { display, detach } = options;
  const timeout = new AbortController();
  const timers = [
    setTimeout(() => phaseless(latest) && display.note(options.idle.note), options.idle.afterMs),
  ];
  if (options.timeoutMs > 0) timers.push(setTimeout(() => timeout.abort(), options.timeoutMs));
  const stop = AbortSignal.any([detach, timeout.signal]);
  let latest: T | undefined;
  let outcome: Outcome<T> | undefined;
  let lost = false;
  try {
    for await (const sighting of follow(options.resource, options.name, options.namespace, stop)) {
      if (sighting.type === 'lost' && !lost) display.note(lostNote(sighting));
      lost = sighting.type === 'lost';
      if (sighting.type === 'gone') {
        outcome = { how: 'deleted', object: latest };
        break;
      }
      if (sighting.type !== 'state') continue;
      latest = sighting.object as T;
      options.onState?.(latest);
      display.update(latest);
      const phase = latest.status?.phase;
      if (phase === 'Succeeded' || phase === 'Failed') {
        outcome = { how: phase === 'Succeeded' ? 'succeeded' : 'failed', object: latest };
        break;
      }
    }
  } finally {
    timers.forEach(clearTimeout);
    // Also when following throws, so that the terminal is left clean.
    await display.end(
      outcome?.how === 'succeeded' ? 'succeeded' : outcome?.how === 'failed' ? 'failed' : 'left',
    );
  }
  return outcome ?? { how: detach.aborted ? 'detached' : 'timedOut', object: latest };
}

function phaseless(object: Phased | undefined): boolean {
  return !object?.status?.phase;
}

function lostNote(sighting: Sighting<unknown> & { type: 'lost' }): string {
  return `${sighting.error.message} Trying again; what was begun in the cluster goes on.`;
}
