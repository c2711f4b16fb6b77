/** Guard by guard: without it the model must come to two copies, to none, or to a migration that does not end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GUARDS, type Guard } from './guards.js';
import { runModel, runSchedule } from './run.js';

const RUNS = 3000;
const SEED = 77;

for (const guard of Object.keys(GUARDS) as Guard[]) {
  test(`it fails unless ${guard}`, (t) => {
    const { failure, tally } = runModel({ runs: RUNS, seed: SEED, without: guard });
    assert.ok(failure, `${RUNS} schedules of its trouble did no harm without it`);
    t.diagnostic(`${failure.message.split('\n')[0]} (after ${tally.schedules} schedules)`);
    // It is the guard that was missing: with it the very same schedule ends well.
    runSchedule(failure.schedule);
  });
}
