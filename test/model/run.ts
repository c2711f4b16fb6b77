/** Runs schedules and counts what happened in them. */
import fc from 'fast-check';
import { GUARDS, type Guard } from './guards.js';
import { schedules, withPattern, type Schedule } from './schedule.js';
import { World } from './world.js';

export interface Tally {
  schedules: number;
  steps: number;
  notes: Map<string, number>;
}

export function runSchedule(schedule: Schedule, without?: Guard, trace = false): World {
  const world = new World(schedule, without, { trace });
  try {
    world.run();
  } catch (error) {
    if (trace) console.log(world.history?.join('\n'));
    throw error;
  }
  return world;
}

export function runModel(options: { runs: number; seed?: number; path?: string; without?: Guard }): {
  failure: { message: string; schedule: Schedule; seed: number; path: string } | undefined;
  tally: Tally;
} {
  const { without } = options;
  const arbitrary = without ? withPattern(GUARDS[without]) : schedules(Object.values(GUARDS));
  const tally: Tally = { schedules: 0, steps: 0, notes: new Map() };
  const result = fc.check(
    fc.property(arbitrary, (schedule) => {
      const world = runSchedule(schedule, without);
      tally.schedules++;
      tally.steps += world.scheduler.steps;
      for (const note of world.notes) tally.notes.set(note, (tally.notes.get(note) ?? 0) + 1);
      for (const { metadata, status } of world.api.migrations.values()) {
        void metadata;
        const outcome = `${status?.phase}${status?.reason ? ` ${status.reason}` : ''}`;
        tally.notes.set(outcome, (tally.notes.get(outcome) ?? 0) + 1);
      }
    }),
    {
      numRuns: options.runs,
      // What is left out is known: the shortest schedule says no more than the first.
      endOnFailure: without !== undefined,
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      ...(options.path === undefined ? {} : { path: options.path }),
    },
  );
  if (!result.failed) return { failure: undefined, tally };
  const [schedule] = result.counterexample as [Schedule];
  const error = result.errorInstance;
  return {
    failure: {
      message: error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error),
      schedule,
      seed: result.seed,
      path: result.counterexamplePath ?? '',
    },
    tally,
  };
}
