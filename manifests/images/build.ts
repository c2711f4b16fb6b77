/** The container images of controller and agent, built from their Containerfiles into OCI archives. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { debianRoot, type Say } from '../../test/cluster/debian-root.js';
import { takeLock } from '../../test/cluster/lock.js';
import { cacheDir, repository } from '../../test/cluster/paths.js';
import { openBuildah, type Buildah } from './buildah.js';
import { packImage } from './archive.js';

export interface ImageArchive {
  reference: string;
  /** OCI archive. */
  archive: string;
  /** sha256:…, of the image's manifest: what a registry and a node call it by. */
  digest: string;
}

export interface ImageOptions {
  say?: Say;
  /** An image to build from in place of the Debian root, from a registry. */
  base?: string;
  /** Folder for the archives. */
  out?: string;
}

/** What an image is built from, besides its base. */
const images = [
  {
    reference: 'localhost/controller:latest',
    containerfile: 'controller/Containerfile',
    files: ['dist/controller.mjs'],
  },
  {
    reference: 'localhost/checkpoint-agent:latest',
    containerfile: 'agent/Containerfile',
    files: ['dist/agent.mjs', 'dist/lpm-runtime'],
  },
];

const root = {
  name: 'image-root',
  what: "the images' root",
  packages: ['busybox-static', 'criu', 'iptables', 'nodejs', 'tar', 'util-linux', 'zstd'],
};

/** Raise it when images built before would be other ones now although no file of theirs changed. */
const recipe = 1;

/** Files in the images carry one date (https://reproducible-builds.org/specs/source-date-epoch/), so that the same files make the same digest. */
const epochSeconds = (): number => Number(process.env.SOURCE_DATE_EPOCH ?? 1_600_000_000);

/**
 * Builds the images that are not there as their files are now, and answers them all.
 *
 * @throws with one sentence when the programs are not built, when not root, or with what buildah said.
 */
export async function buildImages(options: ImageOptions = {}): Promise<ImageArchive[]> {
  const { say = () => {}, base, out = join(repository, 'dist/images') } = options;
  for (const file of images.flatMap(({ files }) => files)) {
    if (!existsSync(join(repository, file))) throw new Error(`There is no ${file} yet. Run: npm run build`);
  }
  const debian = base ?? (await debianRoot(root, say));
  mkdirSync(out, { recursive: true });
  const release = await takeLock(join(cacheDir, 'images.lock'), say);
  try {
    let buildah: Buildah | undefined;
    const archives: ImageArchive[] = [];
    for (const { reference, containerfile, files } of images) {
      const name = basename(reference.split(':')[0] ?? '');
      const archive = join(out, `${name}.tar`);
      const record = join(out, `${name}.json`);
      const key = keyOf([containerfile, 'manifests/images/collect.sh', ...files], debian);
      const known = built(record);
      if (known?.key === key && existsSync(archive)) {
        archives.push({ reference, archive, digest: known.digest });
        continue;
      }
      buildah ??= await openBuildah(say);
      say(`building ${reference}`);
      const from = base ?? (await importRoot(buildah, debian, say));
      const digest = await buildImage(buildah, { reference, containerfile, from, archive });
      writeFileSync(record, `${JSON.stringify({ reference, digest, key }, null, 2)}\n`);
      archives.push({ reference, archive, digest });
    }
    return archives;
  } finally {
    release();
  }
}

function built(record: string): { key: string; digest: string } | undefined {
  try {
    return JSON.parse(readFileSync(record, 'utf8')) as { key: string; digest: string };
  } catch {
    return undefined;
  }
}

const version = (): string =>
  (JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string }).version;

function keyOf(files: readonly string[], base: string): string {
  const hash = createHash('sha256').update(JSON.stringify([recipe, version(), epochSeconds(), base]));
  for (const file of files) hash.update(readFileSync(join(repository, file)));
  return hash.digest('hex');
}

/** The Debian root as an image of buildah's own storage: FROM wants one. */
async function importRoot(buildah: Buildah, folder: string, say: Say): Promise<string> {
  const image = `localhost/${basename(folder)}:latest`;
  if (await buildah('inspect', '--type', 'image', image).catch(() => undefined)) return image;
  say("taking the images' root into buildah (once)");
  const container = (await buildah('from', 'scratch')).trim();
  try {
    await buildah('copy', '--quiet', container, folder, '/');
    await buildah('commit', '--quiet', '--timestamp', String(epochSeconds()), container, image);
  } finally {
    await buildah('rm', container);
  }
  return image;
}

async function buildImage(
  buildah: Buildah,
  image: { reference: string; containerfile: string; from: string; archive: string },
): Promise<string> {
  const epoch = epochSeconds();
  await buildah(
    'build',
    ...['--isolation', 'chroot', '--format', 'oci', '--quiet'],
    ...['--timestamp', String(epoch), '--build-arg', `SOURCE_DATE_EPOCH=${epoch}`],
    ...['--build-arg', `BASE=${image.from}`, '--build-arg', `VERSION=${version()}`],
    ...['--file', join(repository, image.containerfile), '--tag', image.reference],
    repository,
  );
  const layout = mkdtempSync(join(cacheDir, 'image-layout-'));
  try {
    await buildah('push', '--quiet', image.reference, `oci:${layout}:${image.reference}`);
    return await packImage(layout, image.reference, image.archive, new Date(epoch * 1000));
  } finally {
    rmSync(layout, { recursive: true, force: true });
  }
}
