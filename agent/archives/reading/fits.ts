import { existsSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LpmError } from '../../../common/errors.js';
import { CoreEntry, MntEntry, NetnsEntry } from '../../../proto/gen/lpm/criu/v1/images.js';
import type { Context } from '../../context.js';
import type { OciSpec } from '../../oci.js';
import type { WaitingHandler } from '../../target.js';
import { DamagedImage, decoded } from '../criu-images/image-file.js';
import { TMPFS_IMAGE, tmpfsProblem } from './tmpfs-images.js';
import { excess, type Asked } from './vet.js';

/**
 * Compares what was staged from an archive with the container that waits for it, before anything is restored: it belongs to the
 * same image, and asks for nothing that the pod does not have.
 *
 * @throws ImageDiffers, ArchiveNotAllowed, ArtifactInvalid
 */
export async function checkFits(
  context: Context,
  podUid: string,
  name: string,
  handler: WaitingHandler,
): Promise<void> {
  const stage = join(context.state.container(podUid, name), 'stage');
  await checkImage(context, podUid, name, handler, stage);
  const config = readFileSync(context.host.path(join(handler.bundle, 'config.json')), 'utf8');
  const asked = await readImages(join(stage, 'checkpoint'), name);
  const spec = JSON.parse(config) as OciSpec;
  const problem =
    excess(asked, spec, (path) => existsSync(context.host.path(path))) ??
    (await firstTmpfsProblem(join(stage, 'checkpoint'), asked.names, spec));
  if (!problem) return;
  throw new LpmError('ArchiveNotAllowed', `The archive of container ${name} ${problem}.`, {
    hint: 'A pod gets nothing from an archive that its own spec does not give it. Use the spec of the pod that was checkpointed, or do not trust the archive.',
  });
}

async function firstTmpfsProblem(
  folder: string,
  names: readonly string[],
  spec: OciSpec,
): Promise<string | undefined> {
  for (const name of names.filter((each) => TMPFS_IMAGE.test(each))) {
    const problem = await tmpfsProblem(join(folder, name), spec);
    if (problem) return `holds the image ${name}, which ${problem}`;
  }
  return undefined;
}

/** The changed files belong on top of the very image that they were taken from. */
async function checkImage(
  context: Context,
  podUid: string,
  name: string,
  handler: WaitingHandler,
  stage: string,
): Promise<void> {
  const { rootfsImageRef: wanted, rootfsImageName } = readConfig(join(stage, 'config.dump'));
  const container = (await context.cri.containers(podUid)).find(({ id }) => id === handler.containerId);
  // CRI-O lists no container that is still being created; the controller has compared the pods' images.
  if (!wanted || !container || digestOf(container.imageRef) === digestOf(wanted)) return;
  throw new LpmError(
    'ImageDiffers',
    `Container ${name} was checkpointed with the image ${rootfsImageName} (${wanted}), but the pod's is ${container.image?.userSpecifiedImage || container.image?.image || 'another'} (${container.imageRef}) on node ${context.nodeName}.`,
    {
      hint: 'Name the image by its digest in the pod, so that it is the one that the checkpoint belongs to.',
    },
  );
}

const digestOf = (ref: string): string => /sha256:[0-9a-f]{64}/.exec(ref)?.[0] ?? ref;

function readConfig(file: string): { rootfsImageRef: string; rootfsImageName: string } {
  try {
    const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const text = (key: string): string => (typeof config[key] === 'string' ? config[key].slice(0, 300) : '');
    return { rootfsImageRef: text('rootfsImageRef'), rootfsImageName: text('rootfsImageName') };
  } catch {
    return { rootfsImageRef: '', rootfsImageName: '' };
  }
}

async function readImages(folder: string, container: string): Promise<Asked> {
  const names = (await readdir(folder)).sort();
  const read = async <Message>(
    pattern: RegExp,
    kind: Parameters<typeof decoded>[1],
    type: { decode(input: Uint8Array): Message },
  ): Promise<Message[]> => {
    const found: Message[] = [];
    for (const name of names.filter((each) => pattern.test(each))) {
      found.push(...decoded(await readFile(join(folder, name)), kind, type));
    }
    return found;
  };
  try {
    const networks = await read(/^netns-.*\.img$/, 'netns', NetnsEntry);
    return {
      names,
      cores: await read(/^core-.*\.img$/, 'core', CoreEntry),
      mounts: await read(/^mountpoints-.*\.img$/, 'mountpoints', MntEntry),
      networks: networks.map(({ extKey }) => extKey),
    };
  } catch (error) {
    if (!(error instanceof DamagedImage)) throw error;
    throw new LpmError(
      'ArtifactInvalid',
      `The archive of container ${container} is damaged: ${error.message}.`,
      {
        cause: error,
      },
    );
  }
}
