/** The container images of controller and agent, built from their Containerfiles into OCI archives. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianRoot, type Say } from '../../test/cluster/debian-root.js';
import { takeLock } from '../../test/cluster/lock.js';
import { cacheDir, repository } from '../../test/cluster/paths.js';
import { packImage } from './archive.js';
import { imageBases, shortName } from './base.js';
import { copiedLast } from './containerfile.js';
import { imageIn, withFiles } from './layer.js';

export interface ImageArchive {
  reference: string;
  /** OCI archive. */
  archive: string;
  /** sha256:…, of the image's manifest: what a registry and a node call it by. */
  digest: string;
  /** sha256:…, of the image that it is without our programs: all but a small part of it. */
  base: string;
}

export interface ImageOptions {
  say?: Say;
  /** An image to build from in place of the Debian root, from a registry. */
  base?: string;
  /** Folder for the archives. */
  out?: string;
  /** Folder in which what stays the same from build to build is kept. */
  cache?: string;
}

const images = [
  { reference: 'localhost/controller:latest', containerfile: 'controller/Containerfile' },
  { reference: 'localhost/checkpoint-agent:latest', containerfile: 'agent/Containerfile' },
];

const root = {
  name: 'image-root',
  what: "the images' root",
  packages: ['busybox-static', 'criu', 'iptables', 'nodejs', 'patchelf', 'runc', 'tar', 'util-linux', 'zstd'],
};

/** Raise it when images built before would be other ones now although no file of theirs changed. */
const recipe = 2;

/** Files in the images carry one date (https://reproducible-builds.org/specs/source-date-epoch/), so that the same files make the same digest. */
const epochSeconds = (): number => Number(process.env.SOURCE_DATE_EPOCH ?? 1_600_000_000);

/**
 * Builds the images that are not there as their files are now, and answers them all. What they are without our programs is built with
 * buildah once; with that at hand it takes a second or two.
 *
 * @throws with one sentence when the programs are not built, when not root, or with what buildah said.
 */
export async function buildImages(options: ImageOptions = {}): Promise<ImageArchive[]> {
  const { say = () => {}, base, out = join(repository, 'dist/images'), cache = cacheDir } = options;
  const programs = images.map(({ containerfile }) =>
    copiedLast(readFileSync(join(repository, containerfile), 'utf8')),
  );
  for (const { from } of programs.flat()) {
    if (!existsSync(join(repository, from))) throw new Error(`There is no ${from} yet. Run: npm run build`);
  }
  const epoch = epochSeconds();
  const layouts = await imageBases(images, {
    say,
    cache,
    epoch,
    version: version(),
    from: base ? { image: base } : { root: await debianRoot(root, say) },
  });
  mkdirSync(out, { recursive: true });
  const release = await takeLock(join(out, 'lock'), say);
  try {
    const archives: ImageArchive[] = [];
    for (const [index, { reference }] of images.entries()) {
      const layout = layouts[index]!;
      const files = programs[index]!;
      const archive = join(out, `${shortName(reference)}.tar`);
      const record = join(out, `${shortName(reference)}.json`);
      const key = keyOf(
        [layout, epoch, files],
        files.map(({ from }) => from),
      );
      let known = built(record);
      if (known?.key !== key || !existsSync(archive)) {
        say(`building ${reference}`);
        const date = new Date(epoch * 1000);
        const image = await withFiles(layout, repository, files, date);
        await packImage(image, layout, reference, archive, date);
        known = { key, reference, digest: image.manifest.digest };
        writeFileSync(record, `${JSON.stringify(known, null, 2)}\n`);
      }
      archives.push({ reference, archive, digest: known.digest, base: imageIn(layout) });
    }
    return archives;
  } finally {
    release();
  }
}

/** What is written down beside an archive. */
interface BuiltImage {
  reference: string;
  digest: string;
  /** Tells what it was made of from anything else. */
  key: string;
}

function built(record: string): BuiltImage | undefined {
  try {
    return JSON.parse(readFileSync(record, 'utf8')) as BuiltImage;
  } catch {
    return undefined;
  }
}

const version = (): string =>
  (JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string }).version;

function keyOf(what: readonly unknown[], files: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify([recipe, ...what]));
  for (const file of files) hash.update(readFileSync(join(repository, file)));
  return hash.digest('hex');
}
