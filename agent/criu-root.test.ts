import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Host } from './host.js';
import { removeCriuRoot } from './criu-root.js';
import { run } from '../test/cluster/run.js';

const skip =
  (process.platform !== 'linux' || process.getuid?.() !== 0) &&
  'needs root: it mounts the root of a container';

test(
  'the root file system that a killed runc has left mounted is let go, and nothing else',
  { skip },
  async () => {
    const root = mkdtempSync(join(tmpdir(), 'lpm-criu-root-'));
    const at = (path: string): string => join(root, path);
    const mounted = async (path: string): Promise<boolean> =>
      (await run('mountpoint', ['-q', at(path)])).code === 0;
    try {
      for (const path of ['rootfs', 'killed/criu-root', 'known/criu-root', 'other/criu-root']) {
        mkdirSync(at(path), { recursive: true });
      }
      writeFileSync(at('rootfs/file'), '');
      writeFileSync(at('known/state.json'), '{}');
      for (const id of ['killed', 'known', 'other']) {
        assert.equal((await run('mount', ['--bind', at('rootfs'), at(`${id}/criu-root`)])).code, 0);
      }
      const context = { host: new Host(), runtimeRoots: ['/nowhere', root] };
      for (const id of ['killed', 'known', 'unknown', '', '..', 'rootfs/../other']) {
        await removeCriuRoot(context, id);
      }
      assert.equal(existsSync(at('killed')), false);
      assert.deepEqual(
        [existsSync(at('known/criu-root')), existsSync(at('known/state.json'))],
        [false, true],
      );
      assert.equal(await mounted('other/criu-root'), true);
      assert.equal(existsSync(at('rootfs/file')), true, 'what was mounted is not touched');
    } finally {
      await run('umount', ['-l', at('other/criu-root')]);
      rmSync(root, { recursive: true, force: true });
    }
  },
);
