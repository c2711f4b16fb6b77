/**
 * Never two, never none: thousands of schedules of crashes, lost, late, doubled and reordered messages, conflicts, probe kills,
 * restarts and loss of power, against the controller's own decisions and a model of agents, handler, kubelet and kernel.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runModel } from './run.js';

/** The same ones each time, so that a change is what makes it fail; `npm run test:model` takes others. */
const SEED = 4;
const RUNS = 2000;

test('no schedule runs two copies or none, and every migration ends or says that it is stuck', (t) => {
  const { failure, tally } = runModel({ runs: RUNS, seed: SEED });
  assert.equal(
    failure,
    undefined,
    failure &&
      `${failure.message}\nnpm run test:model -- 1 ${failure.seed} ${failure.path}\n${JSON.stringify(failure.schedule)}`,
  );
  const happened = (what: string): number => tally.notes.get(what) ?? 0;
  t.diagnostic(`${tally.schedules} schedules, ${tally.steps} steps`);
  for (const [what, count] of [...tally.notes].sort((a, b) => b[1] - a[1])) t.diagnostic(`${count} ${what}`);
  // That it is no empty promise: what must be survived has happened, again and again.
  for (const what of [
    'Succeeded',
    'frozen',
    'executed',
    'thawed',
    'event Stuck',
    'killed by its probe',
    'born frozen',
    'lease lost',
    'a node lost power',
    'migrated again',
  ]) {
    assert.ok(happened(what) >= 10, `${what}: ${happened(what)}`);
  }
});
