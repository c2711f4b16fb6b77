/**
 * `npm run test:faults`: the fault matrix on the local cluster. Every named place × what happens there, and every link that is cut.
 *
 *   --grep RE        only cases whose name ("agent.thaw.before kill") matches
 *   --only A,B       only these places
 *   --shard I/N      the I-th of N parts
 *   --jobs N         so many clusters at once (default 1)
 *   --dir D          folder of the clusters and logs (default: a temporary one)
 *   --repeat N       each case so often
 *   --keep           leave the clusters, to look at them
 *   --stop           end at the first case that leaves the world other than it must be, and leave it so
 *   --list           print the cases and end
 *
 * Ends with 1 when any case leaves the world other than it must be.
 */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../common/errors.js';
import { clusterDown } from '../cluster/cluster.js';
import { allCases, nameOf, type Case } from './cases.js';
import { line, matrix, type Result } from './matrix.js';
import { play } from './play.js';
import { startWorld, type World } from './world.js';

const { values } = parseArgs({
  options: {
    grep: { type: 'string' },
    only: { type: 'string' },
    shard: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    dir: { type: 'string' },
    repeat: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
    stop: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

function wantedCases(): Case[] {
  const { grep, only, shard } = values;
  const places = only?.split(',');
  const [part = 1, parts = 1] = shard?.split('/').map(Number) ?? [];
  return allCases()
    .filter((one) => !grep || new RegExp(grep).test(nameOf(one)))
    .filter((one) => !places || places.includes(one.row.replace(/#\d+$/, '')))
    .filter((_, index) => index % parts === part - 1)
    .flatMap((one) => Array.from({ length: Number(values.repeat) }, () => ({ ...one })));
}

const began = Date.now();
const say = (text: string): void =>
  console.error(`[${((Date.now() - began) / 1000).toFixed(0).padStart(4)} s] ${text}`);

/** Works off cases on a cluster of its own until there is none left. */
async function worker(dir: string, waiting: Case[], results: Result[], total: number): Promise<void> {
  for (let failures = 0; waiting.length > 0;) {
    let world: World;
    try {
      world = await startWorld(dir);
    } catch (error) {
      // A busy machine; but what never works is said.
      if (++failures === 3) throw error;
      say(`the cluster is started again: ${messageOf(error)}`);
      await clusterDown({ dir });
      continue;
    }
    let dirty = false;
    try {
      for (let one = waiting.shift(); one; one = dirty ? undefined : waiting.shift()) {
        let outcome = await play(world, one, values.stop);
        if (outcome.notMet) {
          say(`again, ${line({ one, outcome })}`);
          outcome = await play(world, one);
        }
        results.push({ one, outcome });
        say(`${results.length}/${total} ${line({ one, outcome })}`);
        dirty = outcome.dirty;
        if (outcome.problems.length > 0 && values.stop) {
          waiting.length = 0;
          say(`left as it is: ${dir}`);
        }
      }
    } finally {
      await world.leave();
      // What a broken promise left behind must not be counted against the next case.
      if (dirty && waiting.length > 0) await clusterDown({ dir });
    }
  }
}

async function main(): Promise<number> {
  const cases = wantedCases();
  if (values.list) {
    for (const one of cases) console.log(nameOf(one));
    return 0;
  }
  if (cases.length === 0) throw new Error('No case matches.');
  const base = resolve(values.dir ?? mkdtempSync(join(tmpdir(), 'lpm-faults-')));
  const jobs = Math.min(Number(values.jobs), cases.length);
  const dirs = Array.from({ length: jobs }, (_, index) => join(base, `cluster-${index + 1}`));
  mkdirSync(base, { recursive: true });
  const results: Result[] = [];
  const waiting = [...cases];
  let trouble: unknown;
  try {
    await Promise.all(dirs.map((dir) => worker(dir, waiting, results, cases.length)));
  } catch (error) {
    trouble = error;
  } finally {
    if (!values.keep && !values.stop) for (const dir of dirs) await clusterDown({ dir });
  }
  results.sort((a, b) => cases.indexOf(a.one) - cases.indexOf(b.one));
  console.log(`\n${matrix(results)}\n`);
  const bad = results.filter(({ outcome }) => outcome.problems.length > 0);
  for (const result of bad) console.log(line(result));
  const minutes = ((Date.now() - began) / 60_000).toFixed(1);
  console.log(
    `${results.length} of ${cases.length} cases in ${minutes} minutes, ${bad.length} not as they must be.`,
  );
  if (trouble) throw trouble;
  return bad.length > 0 || results.length < cases.length ? 1 : 0;
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(messageOf(error));
  return 1;
});
