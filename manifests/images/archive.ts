import { createReadStream, createWriteStream, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pack as packTar } from 'tar-stream';
import { blobPath, type Image } from './layer.js';

/**
 * Packs an image into one file in OCI image layout, the same bytes for the same image, under a name by which every tool finds it:
 * containerd names an imported image by the first annotation, podman and skopeo by the second
 * (https://github.com/opencontainers/image-spec/blob/main/annotations.md).
 *
 * @param layout folder in OCI layout that has the layers of the image's base
 */
export async function packImage(
  image: Image,
  layout: string,
  reference: string,
  file: string,
  date: Date,
): Promise<void> {
  const annotations = {
    'io.containerd.image.name': reference,
    'org.opencontainers.image.ref.name': reference,
  };
  const index = { schemaVersion: 2, manifests: [{ ...image.manifest, annotations }] };
  const archive = packTar();
  const partial = `${file}.partial-${process.pid}`;
  const written = pipeline(archive, createWriteStream(partial));
  const put = (name: string, content: Buffer): void => {
    archive.entry({ name, mtime: date, mode: 0o644 }, content);
  };
  // What says what is in the archive comes first, for whoever reads it as it comes.
  put('oci-layout', Buffer.from(JSON.stringify({ imageLayoutVersion: '1.0.0' })));
  put('index.json', Buffer.from(JSON.stringify(index)));
  for (const [digest, content] of image.added) put(blobPath(digest), content);
  for (const digest of image.layers) {
    const name = blobPath(digest);
    const path = join(layout, name);
    const entry = archive.entry({ name, mtime: date, mode: 0o644, size: statSync(path).size });
    await pipeline(createReadStream(path), entry);
  }
  archive.finalize();
  await written;
  renameSync(partial, file);
}
