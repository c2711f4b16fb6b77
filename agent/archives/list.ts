import { LpmError } from '../../common/errors.js';
import type { ArchiveHolding, ListArchivesResponse, RepositoryState } from '../../proto/gen/lpm/v1/agent.js';
import type { Context } from '../context.js';
import { sharedUri } from './layout.js';
import { isKept, listRecords } from './record.js';

/** A sidecar without its archive is of one that is being copied, or, after this time, of one that was left half copied. */
const COPYING_MS = 3600_000;

/** What this node made or keeps, and what lies in the repository of the same cluster, each once. */
export async function listArchives(
  context: Context,
  clusterUid: string,
  now = Date.now(),
): Promise<ListArchivesResponse> {
  const archives: ArchiveHolding[] = [];
  const onBad = (error: unknown): void => context.log.error('a record of archives cannot be read', { error });
  for (const record of listRecords(context.state, onBad)) {
    if (record.clusterUid !== clusterUid) continue;
    for (const { container, info, since } of record.archives.filter(isKept)) {
      archives.push({
        uri: info.uri,
        checkpointUid: record.checkpointUid,
        containerName: container,
        pod: record.pod,
        bytes: info.bytes,
        nodeName: record.nodeName,
        since: new Date(since),
      });
    }
  }
  const { repository, listed } = await inRepository(context, clusterUid);
  const known = new Set(archives.map(({ uri }) => uri));
  for (const { file, sidecar, there } of listed) {
    const uri = sharedUri(file);
    const since = new Date(sidecar.time);
    if (known.has(uri) || (!there && now - since.getTime() < COPYING_MS)) continue;
    archives.push({
      uri,
      checkpointUid: sidecar.checkpointUid,
      containerName: sidecar.container,
      pod: sidecar.pod,
      bytes: BigInt(sidecar.bytes),
      nodeName: sidecar.nodeName,
      since,
    });
  }
  return { archives, repository };
}

async function inRepository(context: Context, clusterUid: string) {
  const { repository } = context.archives;
  const state: RepositoryState = await repository.state();
  if (!state.shared) return { repository: state, listed: [] };
  try {
    return { repository: state, listed: await repository.list(clusterUid) };
  } catch (error) {
    if (!(error instanceof LpmError)) throw error;
    return { repository: { shared: false, problem: error.message, freeBytes: 0n }, listed: [] };
  }
}
