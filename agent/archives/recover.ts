import { rm, stat } from 'node:fs/promises';
import { knownCheckpoints } from '../artifacts.js';
import type { Context } from '../context.js';
import { bootId, killTree, processesNaming } from '../process.js';
import { takeBack } from './keep.js';
import { temporaryFiles } from './node-files.js';
import { dropArtifacts } from './of-checkpoint.js';
import { dropRecord, isKept, listRecords } from './record.js';
import { workerArguments } from './repository.js';

/**
 * Takes back what an agent before this one left half done: its workers, what it wrote under temporary names, and names that
 * were given and not recorded as kept. What is kept stays, and so do artifacts that wait to be packed: whoever asks again goes
 * on from there.
 */
export async function recoverArchives(context: Context): Promise<void> {
  // The words of a command line are divided by NUL.
  processesNaming(workerArguments(context.state.root).join('\0'))
    .filter((pid) => pid !== process.pid)
    .forEach(killTree);
  for (const { archives, checkpointUid, result } of listRecords(context.state)) {
    if (result) await dropArtifacts(context, checkpointUid);
    for (const archive of archives.filter((each) => !isKept(each))) {
      await takeBack(context, checkpointUid, archive.container);
      context.log.warn('took back an archive that an earlier agent left unfinished', {
        checkpoint_uid: checkpointUid,
        container: archive.container,
      });
    }
  }
  for (const file of await temporaryFiles(context.host)) await rm(file, { force: true });
}

/** Artifacts that wait to be packed are kept for somebody who asks again for so long: they are memory in plain text. */
const WAITING_MS = 3600_000;
/** That the archives of a checkpoint were removed is known for so long. */
const REMOVED_MS = 7 * 24 * 3600_000;

/** Removes what nobody comes back for. */
export async function removeForgottenArchives(
  context: Context,
  isRunning: (checkpointUid: string) => boolean,
  now = Date.now(),
): Promise<void> {
  for (const { checkpointUid, manifest } of knownCheckpoints(context.state)) {
    if (!manifest?.forArchive || isRunning(checkpointUid)) continue;
    const age = now - (manifest.result.completedAt?.getTime() ?? 0);
    if (age > WAITING_MS || manifest.bootId !== bootId()) await dropArtifacts(context, checkpointUid);
  }
  for (const { checkpointUid, removedAt } of listRecords(context.state)) {
    if (removedAt && now - Date.parse(removedAt) > REMOVED_MS) dropRecord(context.state, checkpointUid);
  }
  // What was uploaded and never finished; one that is being written is younger.
  for (const file of await temporaryFiles(context.host)) {
    const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: now }));
    if (now - mtimeMs > WAITING_MS * 24) await rm(file, { force: true });
  }
}

/** Number and bytes of the archives that are recorded on this node. */
export function archiveCounts(context: Context): { archives: number; bytes: number } {
  const kept = listRecords(context.state).flatMap(({ archives }) => archives.filter(isKept));
  return { archives: kept.length, bytes: kept.reduce((sum, { info }) => sum + Number(info.bytes), 0) };
}
