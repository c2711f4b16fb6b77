/** Our images once more, as another version of the project would be: another tag, another digest, programs that say so. */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bundle, runtimeHandler } from '../../../build.mjs';
import type { ImageArchive } from '../../../manifests/images/build.js';
import { must } from '../../cluster/run.js';

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
}

/** @param folder where the archives and all that they are made of may lie */
export async function otherVersion(
  images: readonly ImageArchive[],
  tag: string,
  version: string,
  folder: string,
): Promise<ImageArchive[]> {
  return Promise.all(
    images.map(async (image) => {
      const isAgent = image.reference.includes('agent');
      const files = mkdtempSync(join(folder, 'layer-'));
      mkdirSync(join(files, 'app'));
      const [entry, program] = isAgent
        ? ['agent/main.ts', 'agent.mjs']
        : ['controller/main.ts', 'controller.mjs'];
      await bundle(entry, join(files, 'app', program), { version });
      rmSync(join(files, 'app', `${program}.map`), { force: true });
      if (isAgent) {
        mkdirSync(join(files, 'opt/lpm/bin'), { recursive: true });
        const handler = join(files, 'opt/lpm/bin/lpm-runtime');
        writeFileSync(handler, `${await runtimeHandler()}# version ${version}\n`, { mode: 0o755 });
      }
      return withLayer(image, files, `${image.reference.split(':')[0]}:${tag}`, folder);
    }),
  );
}

/** The image with one more layer (https://github.com/opencontainers/image-spec/blob/main/layer.md). */
async function withLayer(
  { archive, reference: old, base }: ImageArchive,
  files: string,
  reference: string,
  folder: string,
): Promise<ImageArchive> {
  const layout = mkdtempSync(join(folder, 'layout-'));
  await must('tar', ['-xf', archive, '-C', layout]);
  const blob = ({ digest }: { digest: string }): string => join(layout, 'blobs', digest.replace(':', '/'));
  const read = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;
  const add = (path: string): { digest: string; size: number } => {
    const digest = digestOf(path);
    cpSync(path, blob({ digest }));
    return { digest, size: statSync(path).size };
  };
  const put = (object: object): { digest: string; size: number } => {
    const path = join(folder, `${basename(layout)}.json`);
    writeFileSync(path, JSON.stringify(object));
    return add(path);
  };
  const index = read<{ manifests: Descriptor[] }>(join(layout, 'index.json'));
  const [image] = index.manifests;
  const manifest = read<{ config: Descriptor; layers: Descriptor[] }>(blob(image!));
  const config = read<{ rootfs: { diff_ids: string[] }; history?: object[] }>(blob(manifest.config));

  const layer = join(folder, `${basename(layout)}.tar`);
  await must('tar', ['-cf', layer, '--owner=0', '--group=0', '--numeric-owner', '-C', files, '.']);
  const added = { mediaType: 'application/vnd.oci.image.layer.v1.tar', ...add(layer) };
  config.rootfs.diff_ids.push(added.digest);
  config.history?.push({ created_by: `another version than ${old}` });
  manifest.config = { ...manifest.config, ...put(config) };
  manifest.layers.push(added);
  index.manifests = [
    {
      ...image!,
      ...put(manifest),
      annotations: {
        'io.containerd.image.name': reference,
        'org.opencontainers.image.ref.name': reference,
      },
    },
  ];
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
  const made = join(folder, `${basename(reference).replace(':', '-')}.tar`);
  await must('tar', ['-cf', made, '-C', layout, 'oci-layout', 'index.json', 'blobs']);
  rmSync(layout, { recursive: true });
  rmSync(layer);
  return { reference, archive: made, digest: index.manifests[0]!.digest, base };
}

const digestOf = (file: string): string =>
  `sha256:${createHash('sha256').update(readFileSync(file)).digest('hex')}`;
