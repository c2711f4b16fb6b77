import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { CheckpointResult } from '../proto/gen/lpm/v1/agent.js';
import { beginArtifacts, completeArtifacts, markThawed } from './artifacts.js';
import type { Context } from './context.js';
import { Ending } from './ending.js';
import { createLogger } from './log.js';
import { StateDir } from './state.js';
import { whatIsUnfinished } from './unfinished.js';

const uid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const pod = { namespace: 'shop', name: 'counter', uid: uid(1) };
const log = createLogger('error');

function aNode(t: TestContext): Context {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-ending-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return { state: new StateDir(dir), log } as Context;
}

/** A checkpoint that lies on the node, complete. */
function checkpointed({ state }: Context, checkpointUid: string, ofMigration: boolean): string {
  const owner = {
    restoreUid: uid(7),
    migrationName: 'm',
    targetPodUid: uid(8),
    targetNodeName: 'other',
  };
  beginArtifacts(state, checkpointUid, { pod, containerIds: [] });
  completeArtifacts(state, {
    version: 1,
    checkpointUid,
    pod,
    ...(ofMigration ? { owner } : {}),
    nodeName: 'here',
    result: CheckpointResult.fromPartial({}),
    files: [],
  });
  return state.artifacts(checkpointUid);
}

test('an agent of which nothing is needed ends at once', async (t) => {
  const context = aNode(t);
  const ending = new Ending();
  assert.equal(ending.begun, false);
  ending.pass();
  await ending.lastWork(() => whatIsUnfinished(context, 0), log);
  assert.equal(ending.begun, true);
  // Who has not heard of it yet is served all the same.
  ending.pass();
});

test('it ends when the source that it holds for a migration is over, not before', async (t) => {
  const context = aNode(t);
  const folder = checkpointed(context, uid(2), true);
  assert.equal(await whatIsUnfinished(context, 0), 'pod shop/counter is moved, or runs on');
  markThawed(context.state, uid(2));
  let looked = 0;
  await new Ending().lastWork(async () => {
    // Thawed, and not discarded yet: that is asked of it next.
    if (++looked === 3) rmSync(folder, { recursive: true });
    return whatIsUnfinished(context, 0);
  }, log);
  assert.equal(looked, 3);
});

test('it waits for what is in progress, and for a stage that is not restored yet', async (t) => {
  const context = aNode(t);
  assert.match(await whatIsUnfinished(context, 1), /checkpoints and restores/);
  const staged = join(context.state.pod(uid(3)), 'containers', 'main', 'stage');
  mkdirSync(staged, { recursive: true });
  assert.equal(await whatIsUnfinished(context, 0), `the pod ${uid(3)} is restored`);
  writeFileSync(join(context.state.pod(uid(3)), 'claim'), `revoked ${uid(7)}\n`);
  assert.equal(await whatIsUnfinished(context, 0), '');
});

test('it does not wait for what a user keeps, nor for what lies there since long', async (t) => {
  const context = aNode(t);
  checkpointed(context, uid(4), false);
  const old = checkpointed(context, uid(5), true);
  const hourAgo = new Date(Date.now() - 3600_000);
  utimesSync(old, hourAgo, hourAgo);
  assert.equal(await whatIsUnfinished(context, 0), '');
});

test('it ends all the same when its time is over, or when it cannot look', async () => {
  await new Ending().lastWork(() => Promise.resolve('never'), log, { limitMs: 120 });
  await new Ending().lastWork(() => Promise.reject(new Error('no disk')), log);
});
