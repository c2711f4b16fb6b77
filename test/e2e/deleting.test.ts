/**
 * Whatever of a migration is deleted in its middle: the pod runs once, or not at all if it was itself deleted, and nothing stays
 * behind. `LPM_DELETIONS=all` tries everything in every phase.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { clusterDown } from '../cluster/cluster.js';
import { startWorld, type World } from '../faults/world.js';
import { play } from './deletions/play.js';
import { allDeletions, chosenDeletions, expected, nameOf, type Deletion } from './deletions/table.js';
import { skippedUnlessLocal } from './testbed.js';

function sentence(deletion: Deletion): string {
  const { left, migration } = expected(deletion);
  const becomes = migration === 'gone' ? 'is gone' : `has ${migration.toLowerCase()}`;
  return `when ${nameOf(deletion)}, ${left ? `the ${left} runs` : 'no pod is left'} and the migration ${becomes}`;
}

describe('in the middle of a migration', { skip: skippedUnlessLocal }, () => {
  let dir: string;
  let world: World;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'lpm-deleting-'));
    world = await startWorld(join(dir, 'cluster'));
  });
  after(async () => {
    await world?.leave();
    await clusterDown({ dir: join(dir, 'cluster') });
    rmSync(dir, { recursive: true, force: true });
  });

  for (const deletion of process.env.LPM_DELETIONS === 'all' ? allDeletions : chosenDeletions) {
    test(sentence(deletion), () => play(world, deletion));
  }
});
