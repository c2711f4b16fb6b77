/** `npm run test:model [-- SCHEDULES [SEED [PATH]]]`: runs many schedules and tells what happened in them. */
import { runModel, runSchedule } from './run.js';

const [runs = '20000', seed, path] = process.argv.slice(2);
const began = Date.now();
const { failure, tally } = runModel({
  runs: Number(runs),
  ...(seed ? { seed: Number(seed) } : {}),
  ...(path ? { path } : {}),
});
const seconds = ((Date.now() - began) / 1000).toFixed(1);
console.log(`${tally.schedules} schedules, ${tally.steps} steps, ${seconds} s`);
for (const [what, count] of [...tally.notes].sort((a, b) => b[1] - a[1]))
  console.log(`${String(count).padStart(7)}  ${what}`);
if (failure) {
  console.log(JSON.stringify(failure.schedule));
  try {
    runSchedule(failure.schedule, undefined, true);
  } catch {
    // Its history was printed; what it came to follows.
  }
  console.log(`${failure.message}\nAgain: npm run test:model -- 1 ${failure.seed} ${failure.path}`);
  process.exitCode = 1;
}
