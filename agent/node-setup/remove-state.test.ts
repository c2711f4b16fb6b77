import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Identity } from '../../common/identity/identity.js';
import { writeStored } from '../identity/stored.js';
import { StateDir } from '../state.js';
import { removeState } from './remove-state.js';

test('nothing of an agent stays in its state folder, its key least of all, and nothing else goes', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'lpm-state-'));
  t.after(() => rmSync(root, { recursive: true }));
  new StateDir(root);
  writeStored(root, { cert: 'c', key: 'k', ca: 'a' } as Identity);
  for (const folder of ['restored', 'kubelet', 'node-setup']) mkdirSync(join(root, folder));
  assert.deepEqual(removeState(root), []);

  new StateDir(root);
  writeFileSync(join(root, 'notes'), "somebody else's");
  assert.deepEqual(removeState(root), ['notes']);
});
