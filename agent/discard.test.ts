import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LpmError } from '../common/errors.js';
import type { Context } from './context.js';
import { removeForgottenMarks } from './discard.js';
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
