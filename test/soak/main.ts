/**
 * `npm run test:soak [-- --count 50 --seed N]`: so many migrations of one pod in a row between the local cluster's nodes, while
 * the controller and agents are killed at random times.
 *
 *   --count N        how many migrations are to succeed (default 50); those that are rolled back are repeated
 *   --seed N         draws the same times again
 *   --dir D          folder of the cluster (default: a temporary one)
 *   --keep           leave the cluster, to look at it
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../common/errors.js';
import { clusterDown, clusterUp } from '../cluster/cluster.js';
import { newSeed } from './draws.js';
import { soak } from './soak.js';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(newSeed()) },
    dir: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const [count, seed] = [Number(values.count), Number(values.seed)];
  const dir = resolve(values.dir ?? join(mkdtempSync(join(tmpdir(), 'lpm-soak-')), 'cluster'));
  console.log(`seed ${seed}`);
  const begin = performance.now();
  try {
    const cluster = await clusterUp({ dir, processes: true });
    const result = await soak(cluster, { count, seed, say: console.log });
    const minutes = ((performance.now() - begin) / 60_000).toFixed(1);
    console.log(
      `${result.succeeded} migrations succeeded, ${result.rolledBack.length} were rolled back and repeated, ${result.kills} kills, ` +
        `counted 1 to ${result.counted} without gap or repeat, nothing is left. ${minutes} minutes.`,
    );
    return 0;
  } catch (error) {
    console.error(`With seed ${seed}: ${messageOf(error)}`);
    return 1;
  } finally {
    if (!values.keep) await clusterDown({ dir });
  }
}

process.exitCode = await main();
