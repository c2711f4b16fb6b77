/** Adds files to an image in OCI layout, as one more layer over those that it has (image-spec: manifest.md, config.md, layer.md). */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { layerTar } from '../../test/cluster/images/oci.js';
import type { Copied } from './containerfile.js';

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}
interface Index {
  manifests: Descriptor[];
}
interface Manifest {
  config: Descriptor;
  layers: Descriptor[];
}
interface Configuration {
  rootfs: { diff_ids: string[] };
  history?: object[];
}

/** An image by what it consists of. */
export interface Image {
  manifest: Descriptor;
  /** The blobs that the base does not have: digest → content. */
  added: Map<string, Buffer>;
  /** Digests of the layers that are the base's. */
  layers: string[];
}

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

export const blobPath = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

const read = <T>(layout: string, file: string): T =>
  JSON.parse(readFileSync(join(layout, file), 'utf8')) as T;

/** The digest of the only image in a folder in OCI layout. */
export function imageIn(layout: string): string {
  const { manifests } = read<Index>(layout, 'index.json');
  const [image, ...others] = manifests;
  if (!image || others.length > 0) throw new Error(`${layout} holds ${manifests.length} images, not one.`);
  return image.digest;
}

/**
 * The image that the base becomes with these files, owned by root, with the permissions that they have and the date.
 *
 * @param layout folder of the base, in OCI layout
 * @param from folder that the files' names are relative to
 */
export async function withFiles(
  layout: string,
  from: string,
  files: readonly Copied[],
  date: Date,
): Promise<Image> {
  const base = read<Manifest>(layout, blobPath(imageIn(layout)));
  const configuration = read<Configuration>(layout, blobPath(base.config.digest));
  const added = new Map<string, Buffer>();
  const add = (content: Buffer): { digest: string; size: number } => {
    const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
    added.set(digest, content);
    return { digest, size: content.length };
  };
  const tar = await layerTar(
    files.map(({ from: name, to }) => ({
      path: to.slice(1),
      content: readFileSync(join(from, name)),
      mode: statSync(join(from, name)).mode & 0o777,
    })),
    date,
  );
  const layer = { mediaType: LAYER, ...add(gzipSync(tar, { level: 6 })) };
  configuration.rootfs.diff_ids.push(`sha256:${createHash('sha256').update(tar).digest('hex')}`);
  configuration.history = [
    ...(configuration.history ?? []),
    {
      created: date.toISOString(),
      created_by: files.map(({ from: name, to }) => `COPY ${name} ${to}`).join('; '),
    },
  ];
  const manifest = {
    ...base,
    config: { ...base.config, ...add(Buffer.from(JSON.stringify(configuration))) },
    layers: [...base.layers, layer],
  };
  return {
    manifest: {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      ...add(Buffer.from(JSON.stringify(manifest))),
    },
    added,
    layers: base.layers.map(({ digest }) => digest),
  };
}
