/** The archives that a kubelet leaves: checkpoint-POD_NAMESPACE-CONTAINER-TIME.tar, the time in RFC 3339 with whole seconds. */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KUBELET_CHECKPOINTS } from '../../common/api/names.js';
import { LpmError, messageOf } from '../../common/errors.js';
import type { Host } from '../host.js';
import { hasTarEnd } from './tar-end.js';

export interface ArchiveOf {
  namespace: string;
  pod: string;
  container: string;
}

export interface KubeletArchive {
  /** Path on the node. */
  path: string;
  /** The second that its name tells, in milliseconds since 1970. */
  at: number;
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))\.tar$/;

/** The second in an archive's name; undefined for a name that is not of this container. */
export function timeInName(file: string, { namespace, pod, container }: ArchiveOf): number | undefined {
  const prefix = `checkpoint-${pod}_${namespace}-${container}-`;
  const [, time] = (file.startsWith(prefix) && TIME.exec(file.slice(prefix.length))) || [];
  const at = time === undefined ? NaN : Date.parse(time);
  return Number.isNaN(at) ? undefined : at;
}

/** The archives of a container on this node, oldest first. */
export function archivesOf(host: Host, of: ArchiveOf): KubeletArchive[] {
  let names: string[] = [];
  try {
    names = readdirSync(host.path(KUBELET_CHECKPOINTS));
  } catch {
    // The kubelet makes the folder with its first archive.
  }
  return names
    .flatMap((name) => {
      const at = timeInName(name, of);
      return at === undefined ? [] : [{ path: join(KUBELET_CHECKPOINTS, name), at }];
    })
    .sort((a, b) => a.at - b.at);
}

/**
 * Checks the archive that a kubelet's answer names, before anything is done with it.
 *
 * @throws ArtifactInvalid
 */
export async function checkArchive(host: Host, path: string, of: ArchiveOf): Promise<KubeletArchive> {
  const bad = (why: string, cause?: unknown): LpmError =>
    new LpmError(
      'ArtifactInvalid',
      `The archive ${JSON.stringify(path.slice(0, 300))} that the kubelet named ${why}.`,
      {
        cause,
      },
    );
  const name = path.slice(KUBELET_CHECKPOINTS.length + 1);
  if (!path.startsWith(`${KUBELET_CHECKPOINTS}/`) || name.includes('/')) {
    throw bad(`does not lie in ${KUBELET_CHECKPOINTS}`);
  }
  const at = timeInName(name, of);
  if (at === undefined) throw bad(`is not of container ${of.container} of pod ${of.namespace}/${of.pod}`);
  let stat;
  try {
    stat = lstatSync(host.path(path));
  } catch (error) {
    throw bad(`cannot be found: ${messageOf(error)}`, error);
  }
  if (!stat.isFile()) throw bad('is not a regular file');
  if (!(await hasTarEnd(host.path(path)))) throw bad('is not a complete tar archive');
  return { path, at };
}

/** How long a file must not have grown to count as given up by whoever wrote it. */
const QUIET_MS = 1500;

/**
 * What a request that was not answered has left behind, once it does not grow any more: its archive when it is complete. A
 * half one is removed: its writer is gone, and under this name it would be taken for a checkpoint.
 *
 * @param from when the request was made; the kubelet names the archive when it begins
 * @param until when it can have begun at the latest
 */
export async function leftBehind(
  host: Host,
  of: ArchiveOf,
  { from, until }: { from: number; until: number },
  now: () => number = Date.now,
): Promise<KubeletArchive | undefined> {
  const second = 1000;
  const begun = Math.floor(from / second) * second;
  let whole: KubeletArchive | undefined;
  for (const archive of archivesOf(host, of).filter(({ at }) => at >= begun && at <= until)) {
    const local = host.path(archive.path);
    for (;;) {
      const stat = lstatSync(local, { throwIfNoEntry: false });
      if (!stat?.isFile()) break;
      if (await hasTarEnd(local)) {
        whole ??= archive;
        break;
      }
      const quiet = now() - stat.mtimeMs;
      if (quiet >= QUIET_MS) {
        rmSync(local, { force: true });
        break;
      }
      await delay(Math.min(QUIET_MS, Math.max(50, QUIET_MS - quiet)));
    }
  }
  return whole;
}
