import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { packForKrew } from '../../krew/pack.mjs';
import { missing } from '../plugin/programs.js';
import { krewInstall } from './krew.js';

const run = promisify(execFile);
const noKubectl = await missing('kubectl');

describe('the release for krew', () => {
  let folder: string;
  let packed: Awaited<ReturnType<typeof packForKrew>>;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lpm-krew-'));
    packed = await packForKrew(folder, 'https://example.org/v${VERSION}');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('the same sources make the same archive', async () => {
    const again = await mkdtemp(join(tmpdir(), 'lpm-krew-'));
    try {
      assert.equal((await packForKrew(again, 'https://example.org')).sha256, packed.sha256);
    } finally {
      await rm(again, { recursive: true });
    }
  });

  test('the archive names no user, no folder and no time of the machine that made it', async () => {
    const text = gunzipSync(await readFile(packed.archive)).toString('latin1');
    assert.doesNotMatch(text, new RegExp(process.cwd().replaceAll('/', '\\/')));
    const { stdout } = await run('tar', ['--list', '--verbose', '--numeric-owner', '--file', packed.archive]);
    for (const line of stdout.trim().split('\n')) assert.match(line, /^-r[w-].* 0\/0 .* 1970-01-01 /);
    assert.match(stdout, /^-rwxr-xr-x .* kubectl-migrate\.mjs$/m);
    assert.match(stdout, /^-rw-r--r-- .* LICENSE$/m);
  });

  test('an archive that was changed is not installed', async () => {
    const root = await mkdtemp(join(folder, 'root-'));
    const changed = join(folder, 'changed.tar.gz');
    await writeFile(changed, Buffer.concat([await readFile(packed.archive), Buffer.from([0])]));
    await assert.rejects(
      krewInstall(root, packed.manifests[0]!, changed, 'linux'),
      /checksum does not match/,
    );
  });

  test('Windows is not offered', async () => {
    const root = await mkdtemp(join(folder, 'root-'));
    const [manifest = ''] = packed.manifests;
    await assert.rejects(krewInstall(root, manifest, packed.archive, 'windows'), /does not offer/);
  });

  test('both plugins install on Linux and macOS, and kubectl calls them', { skip: noKubectl }, async () => {
    for (const os of ['linux', 'darwin'] as const) {
      const root = await mkdtemp(join(folder, `${os}-`));
      for (const manifest of packed.manifests) await krewInstall(root, manifest, packed.archive, os);
      const kubectl = async (...args: string[]) =>
        (
          await run('kubectl', args, {
            env: {
              PATH: `${join(root, 'bin')}${delimiter}${process.env.PATH ?? ''}`,
              HOME: '/nonexistent',
            },
          })
        ).stdout;
      const { version } = JSON.parse(
        await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
      ) as { version: string };
      assert.equal(await kubectl('migrate', 'version'), `Client Version: ${version}\n`);
      assert.match(await kubectl('migrate', '--help'), /^Move a running pod to another node/);
      assert.match(await kubectl('checkpoint', '--help'), /^Save the state of running pods/);
    }
  });

  test('completion is set up beside the link that krew made', { skip: noKubectl }, async () => {
    const root = await mkdtemp(join(folder, 'root-'));
    const link = await krewInstall(root, packed.manifests[0]!, packed.archive, 'linux');
    const env = { PATH: `${dirname(link)}${delimiter}${process.env.PATH ?? ''}`, HOME: '/nonexistent' };
    const said = await run('kubectl', ['migrate', 'completion', '--install'], { env });
    assert.equal(said.stdout, `${join(dirname(link), 'kubectl_complete-migrate')}\n`);
    assert.equal(said.stderr, '');
    // What a shell asks: kubectl finds the program and hands its answer on.
    const asked = await run('kubectl', ['__complete', 'migrate', 'sta'], { env });
    assert.match(asked.stdout, /^status\tShow how a migration stands/);
    assert.match(asked.stdout, /\n:4\n/);
  });

  test('under a third name it is both plugins', { skip: noKubectl }, async () => {
    const root = await mkdtemp(join(folder, 'root-'));
    const link = await krewInstall(root, packed.manifests[0]!, packed.archive, 'linux');
    await symlink('kubectl-migrate', join(dirname(link), 'kubectl-lpm'));
    const env = { PATH: `${dirname(link)}${delimiter}${process.env.PATH ?? ''}`, HOME: '/nonexistent' };
    const { stdout } = await run('kubectl', ['lpm', 'checkpoint', '--help'], { env });
    assert.match(stdout, /\n {2}kubectl lpm checkpoint pod counter\n/);
  });
});
