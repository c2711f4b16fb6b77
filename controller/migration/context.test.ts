import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeClient } from '../../common/kube/client.js';
import { Log } from '../log.js';
import type { Parts } from '../parts.js';
import { aMigration } from './build.testing.js';
import { MigrationContext } from './context.js';

test('what a user asks for while nothing is written is seen, and an older version takes none of it back', () => {
  const parts = {
    log: new Log('error'),
    now: () => 0,
    client: { podMigrations: {} } as unknown as KubeClient,
  } as unknown as Parts;
  const before = aMigration();
  const context = new MigrationContext('default/counter-migration', before, parts, () => {});
  const asked = aMigration({ resolution: 'Source' });
  asked.metadata.generation = 2;
  context.seen(asked);
  assert.equal(context.migration.spec.resolution, 'Source');
  context.recorder.adopt(asked);
  context.seen(before);
  assert.equal(context.migration.spec.resolution, 'Source');
});
