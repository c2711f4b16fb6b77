import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readLogFile } from './log-file.js';

test('a log is read whole, a very long one at both ends, and one that is missing is empty', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'lpm-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'dump.log');
  assert.equal(readLogFile(file), '');
  writeFileSync(file, 'cause\nsomething\nresult\n');
  assert.equal(readLogFile(file), 'cause\nsomething\nresult\n');
  assert.equal(readLogFile(file, 7), 'cause\ns\n(9 bytes are left out here)\nresult\n');
});
