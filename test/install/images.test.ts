/** The images as they are built from the Containerfiles: needs root, buildah and Debian packages, which are installed when missing. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildImages, type ImageArchive } from '../../manifests/images/build.js';
import { debianRoot } from '../cluster/debian-root.js';
import { repository } from '../cluster/paths.js';
import { must } from '../cluster/run.js';

const skip =
  (process.getuid?.() !== 0 && 'needs root: buildah writes files of root’s') ||
  (!existsSync(join(repository, 'dist/agent.mjs')) && 'the programs are not built: npm run build');

interface Blob {
  digest: string;
}
interface Configuration {
  config: { User?: string; Entrypoint: string[]; Labels: Record<string, string> };
}

describe('the images', { skip }, () => {
  let folder: string;
  let images: ImageArchive[];
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lpm-images-'));
    images = await buildImages({ out: join(folder, 'once') });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const find = (name: string): ImageArchive => images.find(({ reference }) => reference.includes(name))!;

  /** The image's configuration, and its files below a folder. */
  async function open(name: string): Promise<{ configuration: Configuration; root: string }> {
    const at = join(folder, name);
    const root = join(at, 'root');
    mkdirSync(root, { recursive: true });
    await must('tar', ['-xf', find(name).archive, '-C', at]);
    const blob = (digest: string): string => join(at, 'blobs', digest.replace(':', '/'));
    const json = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;
    const index = json<{ manifests: (Blob & { annotations: Record<string, string> })[] }>(
      join(at, 'index.json'),
    );
    assert.equal(index.manifests[0]?.annotations['io.containerd.image.name'], `localhost/${name}:latest`);
    const manifest = json<{ config: Blob; layers: Blob[] }>(blob(index.manifests[0]!.digest));
    for (const layer of manifest.layers) await must('tar', ['-xzf', blob(layer.digest), '-C', root]);
    return { configuration: json<Configuration>(blob(manifest.config.digest)), root };
  }

  test('have the same digest each time they are built from the same packages', async () => {
    // Nothing of the first time is at hand.
    const again = await buildImages({ out: join(folder, 'twice'), cache: join(folder, 'cache') });
    assert.deepEqual(
      again.map(({ reference, digest }) => [reference, digest]),
      images.map(({ reference, digest }) => [reference, digest]),
    );
    for (const [index, { archive }] of again.entries()) {
      assert.ok(readFileSync(archive).equals(readFileSync(images[index]!.archive)), archive);
    }
  });

  test('are not built again when nothing changed', async () => {
    const { mtimeMs } = statSync(images[0]!.archive);
    await buildImages({ out: join(folder, 'once') });
    assert.equal(statSync(images[0]!.archive).mtimeMs, mtimeMs);
  });

  test('of the controller runs as a user without rights', async () => {
    const { configuration, root } = await open('controller');
    assert.equal(configuration.config.User, '65532:65532');
    assert.equal(configuration.config.Labels['org.opencontainers.image.licenses'], 'Apache-2.0');
    const said = await must('chroot', [
      '--userspec=65532:65532',
      root,
      ...configuration.config.Entrypoint,
      '--version',
    ]);
    assert.match(said, /^\d+\.\d+\.\d+/);
    assert.equal(existsSync(join(root, 'usr/bin/sh')), false, 'there is nothing in it that is not needed');
  });

  test('of the agent has the programs that it calls, and CRIU for a node with older libraries', async () => {
    const { configuration, root } = await open('checkpoint-agent');
    const inImage = (...command: string[]): Promise<string> => must('chroot', [root, ...command]);
    assert.match(await inImage(...configuration.config.Entrypoint, '--version'), /^\d+\.\d+\.\d+/);
    assert.match(await inImage('nsenter', '--version'), /util-linux/);
    assert.match(await inImage('tar', '--version'), /GNU tar/);
    assert.match(await inImage('zstd', '--version'), /Zstandard/i);
    assert.match(await inImage('ls', '-la', '/mnt/checkpoints/'), /\./);
    assert.ok(existsSync(join(root, 'opt/lpm/bin/lpm-runtime')));
    // On this machine, whose C library is not the image's.
    const onNode = (name: string): Promise<string> => must(join(root, 'opt/lpm/bin', name), ['--version']);
    const [, major = '', minor = ''] = /^Version: (\d+)\.(\d+)/m.exec(await onNode('criu')) ?? [];
    assert.ok(Number(major) * 100 + Number(minor) >= 401, `CRIU ${major}.${minor}`);
    assert.match(await onNode('iptables-restore'), /^iptables-restore v\d/);
    assert.match(await onNode('tar'), /GNU tar/);
  });

  test('of the agent brings a CRIU and a runc that dump and restores on Debian 12, which has an older C library', async () => {
    const older = await debianRoot(
      {
        name: 'plain-root',
        what: 'an older node',
        packages: ['iproute2', 'procps', 'tar'],
        suite: 'bookworm',
      },
      () => {},
    );
    const { root } = await open('checkpoint-agent');
    const work = mkdtempSync(join(folder, 'older-'));
    for (const name of ['upper/opt', 'work', 'merged']) mkdirSync(join(work, name), { recursive: true });
    await must('cp', ['-a', join(root, 'opt/lpm'), join(work, 'upper/opt')]);
    const script = new URL('older-node.sh', import.meta.url).pathname;
    const said = await must('unshare', [
      ...['--mount', '--pid', '--fork', '--ipc', '--uts', '--kill-child'],
      ...['sh', script, work, older],
    ]);
    assert.match(said, /^Version: 4\.\d/);
    assert.match(said, /GNU tar/);
    assert.match(said, /^iptables-restore v\d/m);
    assert.match(said, /^runc version 1\.\d/m);
    assert.match(said, /^counts on$/m);
    assert.match(said, /^the container counts on$/m);
  });
});
