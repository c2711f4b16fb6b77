/** Runs the scenarios in the guest, one after another, and reports each. */
import { setTimeout as delay } from 'node:timers/promises';
import { GuestNode, logs } from './node.js';
import { say } from './report.js';
import { scenarios } from './scenarios.js';

/** A scenario that hangs fails; the others still run. */
const LIMIT_MS = 240_000;

async function limited(work: Promise<void>): Promise<void> {
  const abort = new AbortController();
  const limit = delay(LIMIT_MS, undefined, { signal: abort.signal }).then(() => {
    throw new Error(`It was not done within ${LIMIT_MS / 1000} s.`);
  });
  try {
    await Promise.race([work, limit]);
  } finally {
    abort.abort();
    limit.catch(() => {});
  }
}

/** Arguments narrow the choice to titles that contain one of them. */
const wanted = process.argv.slice(2);
const chosen = scenarios.filter(
  ({ title }) => wanted.length === 0 || wanted.some((part) => title.includes(part)),
);

say({ plan: chosen.map(({ title }) => title) });
const node = await GuestNode.open();
for (const { title, run } of chosen) {
  const began = performance.now();
  const notes: string[] = [];
  let failure: string | undefined;
  try {
    await limited(run(node, (note) => notes.push(note)));
  } catch (error) {
    failure = `${error instanceof Error ? error.stack : String(error)}\n${logs()}`;
  }
  const milliseconds = Math.round(performance.now() - began);
  say({ title, milliseconds, notes, ...(failure === undefined ? {} : { failure }) });
}
say({ done: true });
// The service's script powers the guest off.
process.exit(0);
