/** A few migrations in a row while controller and agents are killed; `npm run test:soak` does many. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { clusterDown, clusterUp } from '../cluster/cluster.js';
import { newSeed } from './draws.js';
import { soak } from './soak.js';

const COUNT = 5;

test(
  'a pod moves there and back while controller and agents are killed, loses no count, and leaves nothing behind',
  { skip: process.getuid?.() !== 0 && 'needs root: the local cluster’s nodes are made of namespaces' },
  async (t) => {
    const seed = newSeed();
    t.diagnostic(`npm run test:soak -- --count ${COUNT} --seed ${seed}`);
    const dir = mkdtempSync(join(tmpdir(), 'lpm-soak-'));
    try {
      const cluster = await clusterUp({ dir: join(dir, 'cluster'), processes: true });
      const { succeeded, kills } = await soak(cluster, {
        count: COUNT,
        seed,
        say: (line) => t.diagnostic(line),
      });
      assert.equal(succeeded, COUNT);
      assert.ok(kills > 0, 'somebody was killed');
    } finally {
      await clusterDown({ dir: join(dir, 'cluster') });
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
