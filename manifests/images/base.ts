/**
 * What the images are without our programs (Node.js, CRIU and the like from Debian packages): built with buildah once and kept in the
 * cache in OCI layout, each layer compressed already, so that a new build of a program costs seconds and not minutes.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Say } from '../../test/cluster/debian-root.js';
import { takeLock } from '../../test/cluster/lock.js';
import { cacheDir, repository } from '../../test/cluster/paths.js';
import { openBuildah, type Buildah } from './buildah.js';
import { baseOf } from './containerfile.js';

export interface Base {
  /** localhost/controller:latest, of the image that is made of it. */
  reference: string;
  containerfile: string;
}

export interface BaseOptions {
  say: Say;
  /** Folder of a Debian root, or an image of a registry. */
  from: { root: string } | { image: string };
  /** Folder in which they are kept. */
  cache: string;
  version: string;
  /** Seconds since 1970 that every file in them carries. */
  epoch: number;
}

/** Raise it when bases built before would be other ones now although no file of theirs changed. */
const recipe = 1;

/** Answers the folder in OCI layout of each base, in their order. */
export async function imageBases(bases: readonly Base[], options: BaseOptions): Promise<string[]> {
  const folders = bases.map((base) => join(options.cache, nameOf(base, options)));
  if (folders.every((folder) => existsSync(folder))) return folders;
  mkdirSync(options.cache, { recursive: true });
  // Of buildah's storage, which is emptied at the end.
  const release = await takeLock(join(cacheDir, 'images.lock'), options.say);
  try {
    const missing = bases.filter((_, index) => !existsSync(folders[index]!));
    if (missing.length > 0) await buildAll(missing, options);
  } finally {
    release();
  }
  return folders;
}

function nameOf({ reference, containerfile }: Base, { from, version, epoch }: BaseOptions): string {
  const hash = createHash('sha256').update(JSON.stringify([recipe, version, epoch, from]));
  hash.update(baseOf(readFileSync(join(repository, containerfile), 'utf8')));
  hash.update(readFileSync(join(repository, 'manifests/images/collect.sh')));
  return `image-base-${shortName(reference)}-${hash.digest('hex').slice(0, 12)}`;
}

/** localhost/controller:latest → controller */
export const shortName = (reference: string): string => basename(reference.split(':')[0] ?? '');

async function buildAll(bases: readonly Base[], options: BaseOptions): Promise<void> {
  const buildah = await openBuildah(options.say);
  try {
    const from =
      'image' in options.from ? options.from.image : await importRoot(buildah, options.from.root, options);
    for (const base of bases) await build(buildah, base, from, options);
  } finally {
    // All that is wanted of it lies in the cache; what is left in buildah's storage would only grow.
    await buildah('rmi', '--all', '--force').catch(() => {});
  }
}

/** The Debian root as an image of buildah's own storage: FROM wants one. */
async function importRoot(buildah: Buildah, folder: string, { say, epoch }: BaseOptions): Promise<string> {
  const image = `localhost/${basename(folder)}:latest`;
  say("taking the images' root into buildah");
  const container = (await buildah('from', 'scratch')).trim();
  try {
    await buildah('copy', '--quiet', container, folder, '/');
    await buildah('commit', '--quiet', '--timestamp', String(epoch), container, image);
  } finally {
    await buildah('rm', container);
  }
  return image;
}

async function build(buildah: Buildah, base: Base, from: string, options: BaseOptions): Promise<void> {
  const { say, cache, version, epoch } = options;
  const name = nameOf(base, options);
  const tag = `localhost/${name}:latest`;
  say(`building the base of ${base.reference} (once)`);
  await buildah(
    'build',
    ...['--isolation', 'chroot', '--format', 'oci', '--quiet', '--target', 'base'],
    ...['--timestamp', String(epoch), '--build-arg', `SOURCE_DATE_EPOCH=${epoch}`],
    ...['--build-arg', `BASE=${from}`, '--build-arg', `VERSION=${version}`],
    ...['--file', join(repository, base.containerfile), '--tag', tag],
    repository,
  );
  say(`  compressing it`);
  const partial = join(cache, `${name}.partial-${process.pid}`);
  try {
    await buildah('push', '--quiet', tag, `oci:${partial}:latest`);
    renameSync(partial, join(cache, name));
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}
