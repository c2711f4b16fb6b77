import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LpmError } from '../common/errors.js';
import type { Context } from './context.js';
import { discardCheckpoint, removeForgottenMarks } from './discard.js';
import { recoverCheckpoints } from './recover.js';
import { StateDir } from './state.js';

const HOURS = 3600 * 1000;

test('marks of containers that the runtime has forgotten go, others and fresh ones stay', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'lpm-discard-'));
  t.after(() => rmSync(root, { recursive: true }));
  // A simulated runtime that knows one container.
  const cri = {
    containerStatus: async (id: string) => {
      if (id !== 'known') throw new LpmError('ContainerNotFound', `${id} is not there`);
    },
  };
  const context = { state: new StateDir(root), cri } as unknown as Context;
  const marks = join(root, 'restored');
  await removeForgottenMarks(context);
  mkdirSync(marks);
  for (const id of ['known', 'forgotten']) writeFileSync(join(marks, id), '');
  await removeForgottenMarks(context);
  assert.deepEqual(readdirSync(marks).sort(), ['forgotten', 'known'], 'an hour is left to all');
  await removeForgottenMarks(context, Date.now() + 2 * HOURS);
  assert.deepEqual(readdirSync(marks), ['known']);
});

test('a runtime that does not answer keeps every mark', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'lpm-discard-'));
  t.after(() => rmSync(root, { recursive: true }));
  const cri = {
    containerStatus: async () => {
      throw new LpmError('RuntimeUnavailable', 'gone');
    },
  };
  const context = { state: new StateDir(root), cri } as unknown as Context;
  mkdirSync(join(root, 'restored'));
  writeFileSync(join(root, 'restored/some'), '');
  await assert.rejects(removeForgottenMarks(context, Date.now() + 2 * HOURS), /gone/);
  assert.deepEqual(readdirSync(join(root, 'restored')), ['some']);
});

const CHECKPOINT = '11111111-1111-4111-8111-111111111111';

test('an agent that died while it removed a checkpoint keeps no other from starting', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'lpm-discard-'));
  t.after(() => rmSync(root, { recursive: true }));
  const said: string[] = [];
  const log = {
    error: (message: string) => said.push(message),
    warn: (message: string) => said.push(message),
  };
  const context = { state: new StateDir(root), log } as unknown as Context;
  const { state } = context;

  mkdirSync(join(state.discardedArtifacts(CHECKPOINT), 'counter'), { recursive: true });
  await recoverCheckpoints(context);
  assert.deepEqual(readdirSync(state.artifactsRoot), [], 'what was being removed is gone');
  assert.deepEqual(said, []);

  // As one whose description was lost in any other way: it cannot be thawed or sent, but removed on demand.
  mkdirSync(join(state.artifacts(CHECKPOINT), 'counter'), { recursive: true });
  await recoverCheckpoints(context);
  assert.equal(existsSync(state.artifacts(CHECKPOINT)), true);
  assert.deepEqual(said, ['the description of a checkpoint is missing']);
  mkdirSync(join(state.discardedArtifacts(CHECKPOINT), 'counter'), { recursive: true });
  await discardCheckpoint(context, CHECKPOINT);
  assert.deepEqual(readdirSync(state.artifactsRoot), []);
});
