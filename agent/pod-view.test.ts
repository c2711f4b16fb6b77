import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { LpmError } from '../common/errors.js';
import type { Host } from './host.js';
import { sandboxProcess } from './pod-view.js';
import { readStat } from './process.js';

const id = 'a'.repeat(64);
const host = { path: (onNode: string): string => onNode } as Host;

/** runc's record of a sandbox whose process is this one, or was another one with its number. */
function record(t: TestContext, startTime: string): string {
  const root = mkdtempSync(join(tmpdir(), 'lpm-runc-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, id));
  writeFileSync(join(root, id, 'config.json'), '{}');
  const state = {
    init_process_pid: process.pid,
    init_process_start: Number(startTime),
    config: { labels: [`bundle=${join(root, id)}`] },
  };
  writeFileSync(join(root, id, 'state.json'), JSON.stringify(state));
  return root;
}

/** CRI-O holds the sandbox's lock while it stops it, so the call ends with its deadline. */
const silent = {
  sandboxPid: (): Promise<number> =>
    Promise.reject(new LpmError('RuntimeUnavailable', 'The container runtime does not answer.')),
};

test('the process of a sandbox that CRI-O is stopping is known from the record of the OCI runtime', async (t) => {
  const root = record(t, readStat(process.pid)!.startTime);
  assert.equal(await sandboxProcess(host, silent, ['/nowhere', root], id), process.pid);
});

test('a sandbox whose process has ended has none, though its number lives', async (t) => {
  assert.equal(await sandboxProcess(host, silent, [record(t, '1')], id), undefined);
});

test('of a sandbox without record the container runtime is asked', async () => {
  assert.equal(await sandboxProcess(host, { sandboxPid: () => Promise.resolve(7) }, [], id), 7);
  assert.equal(await sandboxProcess(host, silent, [], id), 0);
});
