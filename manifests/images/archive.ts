import { createWriteStream, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createReadStream } from 'node:fs';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pack as packTar } from 'tar-stream';

interface Index {
  manifests: { digest: string; annotations?: Record<string, string> }[];
}

/**
 * Packs a folder in OCI image layout with one image into one file, the same bytes for the same image, under a name by which every
 * tool finds it: containerd names an imported image by the first annotation, podman and skopeo by the second
 * (https://github.com/opencontainers/image-spec/blob/main/annotations.md). Answers the image's digest.
 */
export async function packImage(
  layout: string,
  reference: string,
  file: string,
  epoch: Date,
): Promise<string> {
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as Index;
  const [image, ...others] = index.manifests;
  if (!image || others.length > 0)
    throw new Error(`${layout} holds ${index.manifests.length} images, not one.`);
  image.annotations = {
    'io.containerd.image.name': reference,
    'org.opencontainers.image.ref.name': reference,
  };
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index));

  const archive = packTar();
  const partial = `${file}.partial-${process.pid}`;
  const written = pipeline(archive, createWriteStream(partial));
  // What says what is in the archive comes first, for whoever reads it as it comes.
  const files = ['oci-layout', 'index.json', ...blobs(layout)];
  for (const name of files) {
    const path = join(layout, name);
    const entry = archive.entry({ name, mtime: epoch, mode: 0o644, size: statSync(path).size });
    await pipeline(createReadStream(path), entry);
  }
  archive.finalize();
  await written;
  renameSync(partial, file);
  return image.digest;
}

const blobs = (layout: string): string[] =>
  readdirSync(join(layout, 'blobs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(layout, join(entry.parentPath, entry.name)))
    .sort();
