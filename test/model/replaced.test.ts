/** A roll-out of another version, at any moment: agents that are told to end and come back, and controllers that hand over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runSchedule } from './run.js';
import { MILESTONES, withPattern } from './schedule.js';

/** The same ones each time, so that a change is what makes it fail. */
const SEED = 7;
const RUNS = Number(process.env.LPM_MODEL_RUNS ?? 20);
const REPLACED = ['agent of the source is replaced', 'agent of the target is replaced'] as const;

test('agents and controllers that are replaced in the middle of a migration lose none: it succeeds', (t) => {
  let seen = 0;
  for (const since of MILESTONES.filter((each) => !['before', 'rolls back', 'thawed'].includes(each))) {
    const schedules = withPattern({
      setup: { probe: 'none', controllers: 2, timeoutSeconds: 600 },
      faults: [
        { kind: REPLACED, since, after: [0, 30] },
        { kind: [...REPLACED, 'controller dies'], since: 'before', after: [0, 60] },
        { kind: REPLACED, since: 'before', after: [0, 120] },
      ],
    });
    const { failed, counterexample, errorInstance } = fc.check(
      fc.property(schedules, (schedule) => {
        const world = runSchedule(schedule);
        const [migration] = world.api.migrations.values();
        assert.equal(migration?.status?.phase, 'Succeeded', migration?.status?.message);
        if (world.notes.has('agent ended')) seen++;
      }),
      { numRuns: RUNS, seed: SEED },
    );
    assert.ok(!failed, `since ${since}: ${String(errorInstance)}\n${JSON.stringify(counterexample?.[0])}`);
  }
  t.diagnostic(`${seen} with an agent that ended when nothing needed it any more`);
});
