import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CheckpointManifest } from './artifacts.js';
import type { Context } from './context.js';
import { checkFenced } from './fence.js';

test("a migration's checkpoint of an earlier boot is not used, whatever the runtime knows of its pod by now", async () => {
  const manifest = {
    pod: { namespace: 'default', name: 'counter', uid: '11111111-1111-4111-8111-111111111111' },
    owner: { restoreUid: 'm', migrationName: 'm', targetPodUid: 't', targetNodeName: 'b' },
    bootId: '00000000-0000-4000-8000-000000000000',
  } as CheckpointManifest;
  await assert.rejects(checkFenced({ nodeName: 'a' } as Context, manifest), { reason: 'SourceChanged' });
});
