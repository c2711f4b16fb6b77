import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { CHECKPOINT_REPOSITORY, KUBELET_CHECKPOINTS } from '../../../common/api/names.js';
import { LpmError } from '../../../common/errors.js';
import type { Context } from '../../context.js';

/** The bytes of an archive of this node or of the repository. Placeholder names are plain: no folder, no dot first. */
export async function openArchive(context: Context, uri: string): Promise<AsyncIterable<Uint8Array>> {
  const match =
    /^(?:shared:\/\/|file:\/\/\/var\/lib\/kubelet\/checkpoints\/)([A-Za-z0-9][A-Za-z0-9._:+-]*)$/.exec(uri);
  if (!match) throw new LpmError('InvalidArgument', `"${uri.slice(0, 300)}" is not the URI of an archive.`);
  const folder = uri.startsWith('shared:') ? CHECKPOINT_REPOSITORY : KUBELET_CHECKPOINTS;
  const path = join(context.host.path(folder), match[1]!);
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  return file.createReadStream();
}
