import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { takeLock } from './lock.js';

const dir = mkdtempSync(join(tmpdir(), 'lpm-lock-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const quiet = (): void => {};

test('of many who want a lock one holds it at a time, and nothing stays behind', async () => {
  const file = join(dir, 'a/lock');
  let holders = 0;
  await Promise.all(
    Array.from({ length: 5 }, async () => {
      const release = await takeLock(file, quiet);
      assert.equal(++holders, 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      holders--;
      release();
    }),
  );
  assert.deepEqual(readdirSync(join(dir, 'a')), []);
});

test('the lock of a dead process, and one that nobody can read, are taken over', async () => {
  const file = join(dir, 'b');
  for (const content of ['', JSON.stringify({ pid: 1, startTime: 'never' })]) {
    writeFileSync(file, content);
    (await takeLock(file, quiet))();
    assert.equal(existsSync(file), false);
  }
});

test('whoever waits goes on when the holder’s folder is gone', async () => {
  const folder = join(dir, 'c');
  await takeLock(join(folder, 'lock'), quiet);
  const waiting = takeLock(join(folder, 'lock'), quiet);
  rmSync(folder, { recursive: true });
  (await waiting)();
});
