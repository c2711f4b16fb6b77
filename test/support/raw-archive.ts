/** Archives of checkpoints byte by byte, for tests of who reads them. */
import { createHash } from 'node:crypto';
import type { ArchiveManifest } from '../../agent/archives/manifest.js';
import { rawMember } from './raw-tar.js';

export type Contents = Readonly<Record<string, Buffer>>;

const POD = { namespace: 'default', name: 'counter', uid: '11111111-1111-4111-8111-111111111111' };

export const manifestOf = (contents: Contents, container = 'counter'): ArchiveManifest => ({
  version: 1,
  checkpointUid: '22222222-2222-4222-8222-222222222222',
  clusterUid: '33333333-3333-4333-8333-333333333333',
  nodeName: 'node-a',
  pod: POD,
  container,
  time: '2026-01-01T00:00:00.000Z',
  files: Object.entries(contents).map(([path, data]) => ({
    path,
    size: data.length,
    sha256: createHash('sha256').update(data).digest('hex'),
  })),
  podJson: '{}',
});

/** lpm.json and every file, each as the blocks of one member. */
export function archiveParts(contents: Contents, container = 'counter'): Buffer[] {
  const manifest = JSON.stringify(manifestOf(contents, container));
  return [
    rawMember({ name: 'lpm.json', data: manifest }),
    ...Object.entries(contents).map(([name, data]) => rawMember({ name, data })),
  ];
}

/** As it might come from a connection. */
export async function* chunksOf(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += length) {
    await Promise.resolve();
    yield bytes.subarray(at, at + length);
  }
}
