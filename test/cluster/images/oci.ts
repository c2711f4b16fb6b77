import { createHash } from 'node:crypto';
import { createWriteStream, renameSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { pack as packTar, type Pack } from 'tar-stream';

/** One entry of an image's only layer. Directories above it are made as needed. */
export type LayerEntry =
  | { path: string; content: Buffer; mode?: number }
  | { path: string; linkTo: string }
  | { path: string; directory: true; mode?: number };

export interface ImageDescription {
  /** Full reference, e.g. docker.io/library/busybox:1.35: what the runtime will list it as. */
  reference: string;
  entries: LayerEntry[];
  /** The OCI image configuration's "config": Cmd, Entrypoint, Env, WorkingDir, User. */
  config: Record<string, unknown>;
}

/** Everything in an archive carries one date, so that the same input makes the same digests. */
const epoch = new Date('2020-09-13T12:26:40Z');

const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const ociArch = (): string => (process.arch === 'x64' ? 'amd64' : process.arch);

/**
 * Writes an OCI image archive (image-spec v1, one gzipped layer) that containerd imports under its reference.
 * The same description gives the same bytes.
 */
export async function writeImage(description: ImageDescription, file: string): Promise<void> {
  const layer = await layerTar(description.entries, epoch);
  const compressed = gzipSync(layer, { level: 6 });
  const config = json({
    architecture: ociArch(),
    os: 'linux',
    created: epoch.toISOString(),
    config: description.config,
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    history: [{ created: epoch.toISOString(), created_by: 'kubectl-migrate test image' }],
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar+gzip', compressed)],
  });
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor('application/vnd.oci.image.manifest.v1+json', manifest),
        platform: { architecture: ociArch(), os: 'linux' },
        // containerd names the imported image by the first, other tools by the second.
        annotations: {
          'io.containerd.image.name': description.reference,
          'org.opencontainers.image.ref.name': description.reference.split(':').pop(),
        },
      },
    ],
  });

  const archive = packTar();
  const partial = `${file}.partial-${process.pid}`;
  const written = pipeline(archive, createWriteStream(partial));
  const put = (name: string, content: Buffer): void => {
    archive.entry({ name, mtime: epoch, mode: 0o644 }, content);
  };
  put('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  put('index.json', index);
  for (const blob of [config, manifest, compressed]) put(`blobs/sha256/${sha256(blob)}`, blob);
  archive.finalize();
  await written;
  renameSync(partial, file);
}

function descriptor(mediaType: string, content: Buffer): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: `sha256:${sha256(content)}`, size: content.length };
}

/** The entries with every directory above them, in path order. */
function withParents(entries: readonly LayerEntry[]): LayerEntry[] {
  const byPath = new Map<string, LayerEntry>();
  for (const entry of entries) {
    const parts = entry.path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const path = parts.slice(0, depth).join('/');
      if (!byPath.has(path)) byPath.set(path, { path, directory: true });
    }
    byPath.set(entry.path, entry);
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A layer's archive, the same bytes for the same entries: all of root's and of one date, with every directory above them. */
export async function layerTar(described: readonly LayerEntry[], date: Date): Promise<Buffer> {
  const entries = withParents(described);
  const archive: Pack = packTar();
  const common = { mtime: date, uid: 0, gid: 0, uname: '', gname: '' };
  const chunks: Buffer[] = [];
  const collected = (async () => {
    for await (const chunk of archive) chunks.push(chunk as Buffer);
  })();
  for (const entry of entries) {
    if ('content' in entry) {
      archive.entry({ ...common, name: entry.path, mode: entry.mode ?? 0o644 }, entry.content);
    } else if ('linkTo' in entry) {
      archive.entry({ ...common, name: entry.path, type: 'symlink', linkname: entry.linkTo, mode: 0o777 });
    } else {
      archive.entry({ ...common, name: `${entry.path}/`, type: 'directory', mode: entry.mode ?? 0o755 });
    }
  }
  archive.finalize();
  await collected;
  return Buffer.concat(chunks);
}
