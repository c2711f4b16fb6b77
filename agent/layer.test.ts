import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Host } from './host.js';
import { collectLayer, overlayOf } from './layer.js';
import { checkDeletions, checkTar } from './tar-check.js';

const skip = process.getuid?.() !== 0 && 'needs root: overlay mounts and owners';
const podUid = '11111111-2222-3333-4444-555555555555';
const migration = '99999999-8888-7777-6666-555555555555';
const id = 'a'.repeat(64);

test('the writable layer is found in mountinfo, also with spaces and several layers', () => {
  const info = [
    '602 500 0:80 / / rw,relatime - overlay overlay rw,lowerdir=/l/a\\040b:/l/c,upperdir=/u,workdir=/w,index=off',
    '603 602 0:81 / /proc rw - proc proc rw',
  ].join('\n');
  assert.deepEqual(overlayOf(info), { upper: '/u', lowers: ['/l/a b', '/l/c'] });
  const newer = '1 0 0:1 / / rw - overlay overlay rw,lowerdir+=/l/a,lowerdir+=/l/b,upperdir=/u,workdir=/w';
  assert.deepEqual(overlayOf(newer).lowers, ['/l/a', '/l/b']);
  assert.throws(() => overlayOf('1 0 0:1 / / rw - ext4 /dev/sda rw'), /of type "ext4"/);
});

/** The image of the containers: folders, files, and links of the kinds that lead astray. */
function makeImage(root: string, outside: string): void {
  const put = (file: string, content: string): void => {
    mkdirSync(join(root, file, '..'), { recursive: true });
    writeFileSync(join(root, file), content);
  };
  put('etc/keep', 'keep');
  put('etc/gone', 'gone');
  put('etc/changed', 'image');
  put('opt/tree/deep/file', 'image');
  put('opt/replaced/file', 'image');
  put('opt/opaque/old', 'image');
  put('run/in-run', 'image');
  mkdirSync(join(root, 'var'));
  symlinkSync('/run', join(root, 'var/run'));
  symlinkSync('keep', join(root, 'etc/link'));
  symlinkSync(outside, join(root, 'outside'));
  symlinkSync(outside, join(root, 'becomes-folder'));
}

/** What the container does to it. */
const changes = `
  rm etc/gone
  echo container > etc/changed
  rm -r opt/tree
  rm -r opt/replaced && echo file > opt/replaced
  rm -r opt/opaque && mkdir opt/opaque && echo new > opt/opaque/new
  echo pid > var/run/pid 2>/dev/null || echo pid > run/pid
  rm etc/link && ln -s changed etc/link
  rm becomes-folder && mkdir becomes-folder && echo mine > becomes-folder/victim
  mkdir -p home/u && echo x > home/u/x && chown -R 1234:4321 home/u && chmod 750 home/u && chmod 4755 home/u/x
  ln home/u/x home/u/y
  mkfifo home/u/fifo
  touch -d @1000000000 home/u/x
`;

/** Names, kinds, modes, owners, times of files, link targets and contents. */
function listing(root: string): string {
  const script =
    'find . -path ./dev -prune -o -printf "%p %y %m %U:%G %l\\n" | sort; find . -type f -printf "%T@ %p " -exec sha256sum {} \\; | sort -k 2';
  return execFileSync('sh', ['-c', script], { cwd: root, encoding: 'utf8' });
}

/** Applies a staged layer with the runtime handler itself; its real runtime only says that it holds something. */
function applyWithHandler(
  t: TestContext,
  rootfs: string,
  stage: { tar: string; deletions: string[] },
): { code: number; stderr: string } {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-apply-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const put = (file: string, content: string): void => {
    mkdirSync(join(dir, file, '..'), { recursive: true });
    writeFileSync(join(dir, file), content);
  };
  mkdirSync(join(dir, 'bin'));
  copyFileSync(new URL('handler/lpm-runtime.sh', import.meta.url), join(dir, 'bin/lpm-runtime'));
  chmodSync(join(dir, 'bin/lpm-runtime'), 0o755);
  put(
    'bin/runtime',
    `#!/bin/sh\ncase " $* " in *" restore "*) echo "${dir}/cgroup" >"$LPM_ATTEMPT/frozen" ;; esac\n`,
  );
  chmodSync(join(dir, 'bin/runtime'), 0o755);
  put('cgroup/cgroup.freeze', '1\n');
  put('cgroup/cgroup.events', 'frozen 1\n');
  put('etc/runtime', join(dir, 'bin/runtime'));
  put('etc/state-dir', join(dir, 'state'));
  put('etc/wait-seconds', '2');
  const annotations = {
    'io.kubernetes.cri.sandbox-uid': podUid,
    'io.kubernetes.cri.container-name': 'main',
    'lpm.my.domain/migration': migration,
  };
  put('bundle/config.json', JSON.stringify({ root: { path: rootfs }, annotations }));
  const container = `state/pods/${podUid}/containers/main`;
  mkdirSync(join(dir, container, 'stage/checkpoint'), { recursive: true });
  copyFileSync(stage.tar, join(dir, container, 'stage/rootfs-diff.tar'));
  put(`${container}/stage/deleted.list`, stage.deletions.map((path) => `${path}\0`).join(''));
  put(`${container}/ready`, `restore ${migration}\ncontainer ${id}\n`);
  const { status, stderr } = spawnSync(join(dir, 'bin/lpm-runtime'), [
    'create',
    '--bundle',
    join(dir, 'bundle'),
    id,
  ]);
  return { code: status ?? 255, stderr: stderr.toString() };
}

test(
  'what a container has written and deleted arrives in another root, and nowhere else',
  { skip },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'lpm-layer-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const [lower, upper, outside, out] = ['lower', 'upper', 'outside', 'out'].map((name) =>
      join(dir, name),
    ) as [string, string, string, string];
    for (const each of [
      lower,
      upper,
      outside,
      out,
      join(dir, 'work'),
      join(dir, 'merged'),
      join(dir, 'target'),
    ])
      mkdirSync(each);
    makeImage(lower, outside);
    writeFileSync(join(outside, 'victim'), 'untouched');
    // The mount lives in a mount namespace of its own and is gone with it.
    const script = `mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged && cd merged && { ${changes} } && ${
      // The listing must see the merged tree.
      'find . -path ./dev -prune -o -printf "%p %y %m %U:%G %l\\n" | sort; find . -type f -printf "%T@ %p " -exec sha256sum {} \\; | sort -k 2'
    }`;
    const expected = execFileSync('unshare', ['--mount', 'sh', '-c', script], { cwd: dir, encoding: 'utf8' });

    await collectLayer(new Host(), { upper, lowers: [lower] }, out);
    const { directories } = await checkTar(join(out, 'rootfs-diff.tar'));
    const deletions = checkDeletions(readFileSync(join(out, 'deleted.files'), 'utf8'), directories);
    assert.deepEqual(deletions.filter((path) => !path.startsWith('becomes')).sort(), [
      'etc/gone',
      'opt/opaque',
      'opt/replaced',
      'opt/tree',
    ]);

    const target = join(dir, 'target');
    execFileSync('cp', ['-a', `${lower}/.`, target]);
    const { code, stderr } = applyWithHandler(t, target, { tar: join(out, 'rootfs-diff.tar'), deletions });
    assert.equal(code, 0, stderr);
    assert.equal(listing(target), expected);
    assert.equal(readFileSync(join(outside, 'victim'), 'utf8'), 'untouched');
    assert.equal(readlinkSync(join(target, 'var/run')), '/run');
  },
);

test(
  'an image with other links than the source had leads no write and no deletion out of its root',
  { skip },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'lpm-layer-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const [upper, lower, outside, out, target] = ['upper', 'lower', 'outside', 'out', 'target'].map((name) =>
      join(dir, name),
    ) as [string, string, string, string, string];
    for (const each of [join(upper, 'data'), lower, outside, out, target])
      mkdirSync(each, { recursive: true });
    writeFileSync(join(outside, 'victim'), 'untouched');
    writeFileSync(join(upper, 'data/victim'), 'written');
    symlinkSync(outside, join(target, 'data'));
    await collectLayer(new Host(), { upper, lowers: [lower] }, out);
    await checkTar(join(out, 'rootfs-diff.tar'));

    // A deletion through the link is refused by the handler itself, whatever passed before.
    const refused = applyWithHandler(t, target, {
      tar: join(out, 'rootfs-diff.tar'),
      deletions: ['data/victim'],
    });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /is a symbolic link/);
    assert.equal(existsSync(join(outside, 'victim')), true);

    // A write goes into a real folder that takes the link's place.
    const written = applyWithHandler(t, target, { tar: join(out, 'rootfs-diff.tar'), deletions: [] });
    assert.equal(written.code, 0, written.stderr);
    assert.equal(readFileSync(join(outside, 'victim'), 'utf8'), 'untouched');
    assert.equal(readFileSync(join(target, 'data/victim'), 'utf8'), 'written');
  },
);

test("CRIU's mount points that come and go in the container's root are not taken for its own", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-layer-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [upper, lower, out] = ['upper', 'lower', 'out'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  for (const each of [join(upper, 'tmp'), lower, out]) mkdirSync(each, { recursive: true });
  for (let n = 0; n < 300; n++) writeFileSync(join(upper, `file-${n}`), 'written');
  // As CRIU does while it dumps, over and over.
  const dumping = spawn('sh', [
    '-c',
    'cd "$1"; while :; do mkdir cr-tmpfs.aB3xYz tmp/cr-tmpfs.aB3xYz; rmdir cr-tmpfs.aB3xYz tmp/cr-tmpfs.aB3xYz; done',
    'sh',
    upper,
  ]);
  const ended = new Promise((resolve) => dumping.on('close', resolve));
  try {
    for (let round = 0; round < 10; round++) {
      await collectLayer(new Host(), { upper, lowers: [lower] }, out);
      const listed = execFileSync('tar', ['--list', '--file', join(out, 'rootfs-diff.tar')], {
        encoding: 'utf8',
      });
      assert.equal(listed.split('\n').filter((name) => name.startsWith('./file-')).length, 300);
      assert.doesNotMatch(listed, /cr-tmpfs/);
    }
  } finally {
    dumping.kill('SIGKILL');
    await ended;
  }
});
