/**
 * Messages between programs. Each is a small process of its own: put off it arrives late, even after whoever sent it has
 * gone; killed it is lost. A link that is cut loses what is sent meanwhile.
 */
import { Process, type Steps } from './scheduler.js';
import type { World } from './world.js';

export class Unreachable extends Error {}

export class Links {
  readonly #cutUntil = new Map<string, number>();

  constructor(private readonly world: World) {}

  cut(one: string, other: string, until: number): void {
    this.#cutUntil.set(key(one, other), until);
  }

  isCut(one: string, other: string): boolean {
    return (this.#cutUntil.get(key(one, other)) ?? 0) > this.world.now;
  }

  heal(): void {
    this.#cutUntil.clear();
  }
}

const key = (one: string, other: string): string => [one, other].sort().join(' ');

/** One call as the caller and the callee see it. */
export interface Call<T> {
  outcome?: { value: T } | { error: unknown };
  /** The process that works on it. */
  callee?: Process;
  /** The caller has gone: nobody waits for the answer. */
  canceled: boolean;
}

/**
 * Asks another program and waits for its answer.
 *
 * @param callee the process that is asked, as it is when the message arrives; undefined when nobody is there
 * @throws Unreachable after the time is over or the connection was lost: it may have been done or not
 */
export function* ask<T>(
  world: World,
  caller: { process: Process; place: string },
  place: string,
  what: string,
  callee: () => Process | undefined,
  work: (call: Call<T>) => Steps<T>,
  timeoutMs: number,
): Steps<T> {
  const call: Call<T> = { canceled: false };
  const message = (call: Call<T>, late = 0): void => {
    const wire = new Process('wire', `${what} to ${place}`);
    world.scheduler.spawn(
      wire,
      transport(world, caller.place, place, what, callee, work, call, late),
      `send ${what}`,
    );
  };
  message(call);
  // To look twice is the same as once.
  const late = what === 'pod state' ? undefined : world.faults.duplicates();
  if (late !== undefined) message({ canceled: true }, late);
  yield {
    at: `answer ${what}`,
    until: () => call.outcome !== undefined || call.callee?.alive === false,
    timeoutMs,
  };
  call.canceled = true;
  const { outcome } = call;
  if (!outcome || world.links.isCut(caller.place, place)) throw new Unreachable(what);
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}

function* transport<T>(
  world: World,
  from: string,
  to: string,
  what: string,
  callee: () => Process | undefined,
  work: (call: Call<T>) => Steps<T>,
  call: Call<T>,
  late: number,
): Steps {
  yield { at: `wire ${what}`, ms: 1 + late };
  // One that is cut off does not know it: what was sent before may still arrive when the link is back.
  if (world.links.isCut(from, to)) return;
  const process = callee();
  if (!process?.alive) {
    call.outcome = { error: new Unreachable(what) };
    return;
  }
  call.callee = process;
  world.scheduler.spawn(process, answer(work, call), `receive ${what}`);
}

function* answer<T>(work: (call: Call<T>) => Steps<T>, call: Call<T>): Steps {
  try {
    const value = yield* work(call);
    call.outcome = { value };
  } catch (error) {
    call.outcome = { error };
  }
}
