import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { pack } from 'tar-stream';
import { KUBELET_CHECKPOINTS } from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import { Host } from '../host.js';
import { archivesOf, checkArchive, leftBehind, timeInName } from './archives.js';
import { hasTarEnd } from './tar-end.js';

const of = { namespace: 'default', pod: 'web', container: 'main' };
const at = (time: string): number => Date.parse(time);

/** A node whose files lie below a folder. */
function aNode(t: TestContext): { host: Host; folder: string; put(name: string, content: Buffer): string } {
  const root = mkdtempSync(join(tmpdir(), 'lpm-kubelet-'));
  t.after(() => rmSync(root, { recursive: true }));
  const host = Object.assign(new Host(), { path: (path: string) => join(root, path) });
  const folder = host.path(KUBELET_CHECKPOINTS);
  mkdirSync(folder, { recursive: true });
  return {
    host,
    folder,
    put: (name, content) => {
      writeFileSync(join(folder, name), content);
      return `${KUBELET_CHECKPOINTS}/${name}`;
    },
  };
}

async function aTar(bytes = 3000): Promise<Buffer> {
  const packing = pack();
  packing.entry({ name: 'config.dump' }, '{"id":"one"}');
  packing.entry({ name: `checkpoint/${'long-'.repeat(40)}`, size: bytes }, Buffer.alloc(bytes, 7));
  packing.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of packing) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const refused = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing',
    (error: unknown) =>
      error instanceof LpmError && error.reason === 'ArtifactInvalid' ? error.message : String(error),
  );

test('the time in a name is read in any time zone, and names of other containers are not taken for this one’s', () => {
  assert.equal(
    timeInName('checkpoint-web_default-main-2026-01-02T03:04:05Z.tar', of),
    at('2026-01-02T03:04:05Z'),
  );
  assert.equal(
    timeInName('checkpoint-web_default-main-2026-01-02T05:04:05+02:00.tar', of),
    at('2026-01-02T03:04:05Z'),
  );
  for (const name of [
    'checkpoint-web_default-main-2-2026-01-02T03:04:05Z.tar',
    'checkpoint-web_other-main-2026-01-02T03:04:05Z.tar',
    'checkpoint-web_default-main-2026-01-02T03:04:05Z.tar.gz',
    'checkpoint-web_default-main-2026-13-02T03:04:05Z.tar',
    'checkpoint-web_default-main-.tar',
  ])
    assert.equal(timeInName(name, of), undefined, name);
});

test('an archive counts as complete with its last contents and the end mark, not before', async (t) => {
  const { folder } = aNode(t);
  const whole = await aTar();
  const file = join(folder, 'a.tar');
  for (const length of [0, 100, 512, 1024, whole.length - 3000, whole.length - 1024, whole.length - 512]) {
    writeFileSync(file, whole.subarray(0, length));
    assert.equal(await hasTarEnd(file), false, `${length} of ${whole.length} bytes`);
  }
  writeFileSync(file, whole);
  assert.equal(await hasTarEnd(file), true);
  writeFileSync(file, Buffer.concat([Buffer.from('x'), whole]));
  assert.equal(await hasTarEnd(file), false, 'no tar');
});

test('an archive of GNU tar with a sparse file counts as complete', async (t) => {
  const { folder } = aNode(t);
  execFileSync(
    'sh',
    ['-c', 'truncate -s 1M big; echo end >>big; tar --sparse --format=posix -cf a.tar big'],
    { cwd: folder },
  );
  assert.equal(await hasTarEnd(join(folder, 'a.tar')), true);
});

test('the archive that the kubelet names is taken only where, what and whose it must be', async (t) => {
  const { host, folder, put } = aNode(t);
  const name = 'checkpoint-web_default-main-2026-01-02T03:04:05Z.tar';
  const path = put(name, await aTar());
  assert.deepEqual(await checkArchive(host, path, of), { path, at: at('2026-01-02T03:04:05Z') });
  assert.match(await refused(checkArchive(host, `/etc/${name}`, of)), /does not lie in/);
  assert.match(await refused(checkArchive(host, `${KUBELET_CHECKPOINTS}/../${name}`, of)), /does not lie in/);
  assert.match(
    await refused(checkArchive(host, path, { ...of, container: 'other' })),
    /is not of container other/,
  );
  assert.match(await refused(checkArchive(host, path.replace('05Z', '06Z'), of)), /cannot be found/);
  const link = path.replace('05Z', '07Z');
  symlinkSync(join(folder, name), host.path(link));
  assert.match(await refused(checkArchive(host, link, of)), /is not a regular file/);
  const half = put(name.replace('05Z', '08Z'), (await aTar()).subarray(0, 2048));
  assert.match(await refused(checkArchive(host, half, of)), /is not a complete tar archive/);
});

test('of a request that nobody heard the answer of, a whole archive is found and a half one removed', async (t) => {
  const { host, put } = aNode(t);
  const whole = await aTar();
  const name = (second: string): string => `checkpoint-web_default-main-2026-01-02T03:04:${second}Z.tar`;
  const window = { from: at('2026-01-02T03:04:05.900Z'), until: at('2026-01-02T03:04:35Z') };
  const before = put(name('04'), whole);
  assert.equal(await leftBehind(host, of, window), undefined, 'an earlier one is another’s');
  const half = put(name('05'), whole.subarray(0, 1024));
  utimesSync(host.path(half), 1, 1);
  assert.equal(await leftBehind(host, of, window), undefined);
  assert.ok(!existsSync(host.path(half)));
  assert.ok(existsSync(host.path(before)));
  const found = put(name('06'), whole);
  assert.equal((await leftBehind(host, of, window))?.path, found);
  assert.deepEqual(
    archivesOf(host, of).map(({ path }) => path),
    [before, found],
  );
});

test('an archive that still grows is waited for', async (t) => {
  const { host, put } = aNode(t);
  const whole = await aTar();
  const name = 'checkpoint-web_default-main-2026-01-02T03:04:05Z.tar';
  const path = put(name, whole.subarray(0, 1024));
  setTimeout(() => writeFileSync(host.path(path), whole), 200);
  const from = at('2026-01-02T03:04:05Z');
  assert.equal((await leftBehind(host, of, { from, until: from }))?.path, path);
  assert.deepEqual(readFileSync(host.path(path)), whole);
});
