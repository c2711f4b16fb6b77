/** The archives of this node for the transfer port: read for an export, taken in for an import. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { KUBELET_CHECKPOINTS } from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import type { ArchiveDescription, ArchiveSource, ContainerArtifact } from '../../proto/gen/lpm/v1/agent.js';
import type { Context } from '../context.js';
import type { ArchiveStore } from '../transfer-port/store.js';
import { describeArchive, describeFolder } from './describing/describe.js';
import { gapsOf } from './gaps.js';
import { answeredResult, keepArchive, recordResult } from './keep.js';
import { MANIFEST_FILE, MAX_MANIFEST_BYTES, parseManifest, type ArchiveManifest } from './manifest.js';
import { archiveFolder, contentsOf, freeBytesFor, openPlainFile, temporaryFile } from './node-files.js';
import { openArchive, verified } from './open.js';
import { decode, type Decrypt } from './reading/decode.js';
import { decryptWith } from './reading/decrypt.js';
import { tarEntries } from './reading/tar-entries.js';
import { roomIn, unpackArchive } from './reading/unpack.js';
import { isKept, readRecord } from './record.js';
import { dropUnanswered } from './remove.js';

/** What stays free on the disk that an archive is received on. */
const SPARE_BYTES = 64 * 1024 * 1024;

export function archiveStore(context: Context): ArchiveStore {
  return {
    async read({ uri, sha256, bytes: size }) {
      const { bytes } = await openArchive(context, uri);
      return Readable.from(verified(bytes, { sha256, size: Number(size) }, uri));
    },

    async manifest({ uri }) {
      const { bytes } = await openArchive(context, uri);
      const found = await manifestOf(bytes, decryptWith(context.archives));
      if (!found) return undefined;
      const { files: _, ...told } = found;
      return JSON.stringify(told);
    },

    async placeFor({ uid }, { containerName, bytes }) {
      await archiveFolder(context.host);
      const free = await freeBytesFor(context.host);
      if (free < Number(bytes) + SPARE_BYTES) {
        throw new LpmError(
          'NoSpace',
          `Node ${context.nodeName} has ${free} bytes free, too little for an archive of ${bytes} bytes.`,
          { hint: `Make room in ${KUBELET_CHECKPOINTS}.` },
        );
      }
      const file = temporaryFile(context.host, uid, containerName);
      // Of an earlier try, by an agent that has ended since.
      await rm(file, { force: true });
      return file;
    },

    async keep(file, { uid, clusterUid, pod }, source) {
      const { containerName: container, sha256, bytes } = source;
      if (!pod) throw new LpmError('InvalidArgument', 'An export takes nothing in.');
      const { manifest, description } = await inspect(context, file, uid, source);
      if (manifest && manifest.pod.uid.toLowerCase() !== pod.uid.toLowerCase()) {
        throw new LpmError(
          'ArtifactInvalid',
          `The archive of container ${container} is of pod ${manifest.pod.uid}, not of ${pod.uid} as was announced.`,
        );
      }
      const taken = new Date(manifest?.time ?? Number.NaN);
      const info = await keepArchive(
        context,
        {
          checkpointUid: uid,
          clusterUid,
          pod,
          container,
          takenAt: Number.isNaN(taken.getTime()) ? new Date() : taken,
          gaps: manifest ? gapsOf(manifest.podJson, container) : [],
          // What a kubelet has made has no list of what must be in it.
          restorable: manifest !== undefined,
        },
        { from: 'archive', path: file, known: { sha256: Buffer.from(sha256), bytes: Number(bytes) } },
      );
      const kept = readRecord(context.state, uid)
        ?.archives.filter(isKept)
        .find((each) => each.container === container);
      return artifactOf(container, `${KUBELET_CHECKPOINTS}/${kept?.nodeFile ?? ''}`, {
        ...(manifest ? { manifest } : {}),
        description,
        info,
      });
    },

    finish({ uid }, containers) {
      recordResult(context, uid, {
        frozenAt: undefined,
        completedAt: new Date(),
        frozenFor: undefined,
        containers,
        totalBytes: containers.reduce((sum, { bytes }) => sum + bytes, 0n),
        steps: [],
      });
    },
    finished: (uid) => answeredResult(context, uid)?.containers,
    drop: (uid) => dropUnanswered(context, uid),
  };
}

interface Inspected {
  /** Undefined for what a kubelet has made. */
  manifest?: ArchiveManifest;
  description: ArchiveDescription;
}

/** Reads an upload as a restore would, from beginning to end, and takes nothing of it. */
async function inspect(
  context: Context,
  file: string,
  uid: string,
  { containerName: container, sha256, bytes }: ArchiveSource,
): Promise<Inspected> {
  const decrypt = decryptWith(context.archives);
  const open = async () => contentsOf((await openPlainFile(file)).file);
  if (!(await manifestOf(await open(), decrypt))) {
    return { description: await describeArchive(await open(), decrypt) };
  }
  const root = join(context.state.root, 'transfers');
  const folder = join(root, `${uid}-${container}`);
  await mkdir(root, { recursive: true, mode: 0o700 });
  await rm(folder, { recursive: true, force: true });
  try {
    const expected = { uri: `of container ${container}`, sha256, bytes: Number(bytes), container };
    const { manifest } = await unpackArchive(await open(), folder, expected, await roomIn(root), decrypt);
    return { manifest, description: await describeFolder(folder) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function artifactOf(
  containerName: string,
  path: string,
  { manifest, description, info }: Inspected & { info: NonNullable<ContainerArtifact['archive']> },
): ContainerArtifact {
  return {
    containerName,
    containerId: '',
    bytes: info.bytes,
    path,
    pagesWritten: 0n,
    image: imageIn(manifest, containerName) ?? description.image,
    imageRef: description.imageRef,
    archive: { ...info, description },
  };
}

/** The image as the pod asked for it. */
function imageIn(manifest: ArchiveManifest | undefined, container: string): string | undefined {
  try {
    const pod = JSON.parse(manifest?.podJson || '{}') as {
      spec?: { containers?: { name?: unknown; image?: unknown }[] };
    };
    const image = pod.spec?.containers?.find(({ name }) => name === container)?.image;
    return typeof image === 'string' ? image.slice(0, 1024) : undefined;
  } catch {
    return undefined;
  }
}

/** lpm.json, the first entry of an archive of ours; undefined when it is not one. */
async function manifestOf(
  bytes: AsyncIterable<Uint8Array>,
  decrypt: Decrypt,
): Promise<ArchiveManifest | undefined> {
  for await (const { name, type, size, contents } of tarEntries(decode(bytes, decrypt))) {
    if (name !== MANIFEST_FILE || type !== 'file' || size > MAX_MANIFEST_BYTES) return undefined;
    const chunks: Buffer[] = [];
    for await (const chunk of contents()) chunks.push(chunk);
    return parseManifest(Buffer.concat(chunks));
  }
  return undefined;
}
