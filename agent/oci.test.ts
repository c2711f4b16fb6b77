import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Host } from './host.js';
import { findOciContainer } from './oci.js';
import { readStat } from './process.js';

const skip = process.platform !== 'linux' && 'needs /proc';

describe('a container that runs', { skip }, () => {
  let root: string;
  const host = { path: (onNode: string) => onNode } as Host;
  const put = (id: string, file: string, state: object): void => {
    mkdirSync(join(root, id), { recursive: true });
    writeFileSync(join(root, id, file), JSON.stringify(state));
  };
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'lpm-oci-'));
    writeFileSync(join(root, 'config.json'), JSON.stringify({ root: { path: 'rootfs' } }));
    const { pid } = process;
    const { startTime } = readStat(pid)!;
    put('by-runc', 'state.json', {
      init_process_pid: pid,
      init_process_start: Number(startTime),
      config: { labels: [`bundle=${root}`] },
    });
    put('by-crun', 'status', { pid, 'process-start-time': Number(startTime), bundle: root });
    put('by-older-crun', 'status', { pid, bundle: root });
    put('gone', 'status', { pid, 'process-start-time': Number(startTime) - 1, bundle: root });
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  for (const [id, runtime] of [
    ['by-runc', 'runc'],
    ['by-crun', 'crun'],
    ['by-older-crun', 'crun'],
  ] as const) {
    test(`is found by what ${id.replace('by-', '').replace('-', ' ')} writes down`, () => {
      const found = findOciContainer(host, ['/nowhere', root], id);
      assert.deepEqual(
        [found.runtime, found.pid, found.runtimeRoot, found.bundle, found.spec.root?.path],
        [runtime, process.pid, root, root, 'rootfs'],
      );
    });
  }

  test('is not taken for another process that has got its PID since', () => {
    assert.throws(() => findOciContainer(host, [root], 'gone'), /has ended/);
  });

  test('is not found where nobody has written it down', () => {
    assert.throws(() => findOciContainer(host, [root], 'unknown'), /knows the container unknown/);
  });
});
