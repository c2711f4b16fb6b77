/** One fault for each step of a migration, on real nodes; `npm run test:faults` plays all of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { FAULT_POINTS } from '../../common/fault-points.js';
import { clusterDown } from '../cluster/cluster.js';
import { allCases, isLinkCase, nameOf, type Case } from './cases.js';
import { play } from './play.js';
import { points, scenarioOf } from './scenarios.js';
import { startWorld, type World } from './world.js';

const steps = [
  'controller.createTarget.after kill',
  'controller.barrier.after#2 kill',
  'agent.checkpoint.frozen kill',
  'agent.checkpoint.dumping kill-criu',
  'agent.checkpoint.fenced kill',
  'agent.restore.receiving#8 kill',
  'agent.restore.ready kill',
  'handler.restoring error',
  'handler.frozen kill',
  'handler.held kill',
  'agent.restore.claimed kill',
  'controller.restore.after kill',
  'agent.endSource.killed kill',
  'controller.thaw.before kill',
  'controller – target agent cut before the transfer healed soon',
];

const sentence = (one: Case): string =>
  `one copy runs, whole, after ${nameOf(one)}${isLinkCase(one) ? '' : `: ${FAULT_POINTS[one.point]}`}`;

describe('after a fault', { skip: process.getuid?.() !== 0 && 'needs root: nodes are namespaces' }, () => {
  let dir: string;
  let world: World;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'lpm-faults-'));
    world = await startWorld(join(dir, 'cluster'));
  });
  after(async () => {
    await world?.leave();
    await clusterDown({ dir: join(dir, 'cluster') });
    rmSync(dir, { recursive: true, force: true });
  });

  for (const step of steps) {
    const one = allCases().find((each) => nameOf(each) === step);
    assert.ok(one, `there is no case ${step}`);
    test(sentence(one), async () => {
      let outcome = await play(world, one);
      // On a busy machine a timeout of the test build may have ended the migration before it came to the place.
      if (outcome.notMet) outcome = await play(world, one);
      const { problems, ended } = outcome;
      assert.deepEqual(problems, [], `${ended}: ${problems.join('; ')}`);
    });
  }
});

test('every fault point is played, but for what no migration of one container meets', () => {
  const left = points.filter((point) => scenarioOf(point) === undefined);
  assert.deepEqual(left, ['agent.commit.before', 'agent.commit.after']);
});
