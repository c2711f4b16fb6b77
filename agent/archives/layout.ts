import { createHash } from 'node:crypto';
import { CHECKPOINT_REPOSITORY, KUBELET_CHECKPOINTS } from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import { ArchiveCompression } from '../../proto/gen/lpm/v1/agent.js';
import { checkLabel, checkPod, checkUid, type CheckedPod } from '../names.js';

/** Names of archives, and what a URI may name. Everything else is refused before it becomes a path. */

/** RFC 3339 with seconds, as the kubelet names its archives; ours are in UTC. */
const STAMP = '\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(?:Z|[+-]\\d{2}:\\d{2})';
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const SUFFIX = '\\.tar(?:\\.gz|\\.zst)?(?:\\.age)?';
/** `checkpoint-<pod>_<namespace>-<container>-<timestamp>.tar`; dashes in names make it ambiguous, so it is only checked. */
const KUBELET_FILE = new RegExp(`^checkpoint-[a-z0-9][a-z0-9.-]*_[a-z0-9][a-z0-9-]*-${STAMP}${SUFFIX}$`);
const REPOSITORY_FILE = new RegExp(
  `^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-${LABEL}-${STAMP}${SUFFIX}$`,
);
/** NAME_MAX of Linux' file systems (limits.h). */
const MAX_NAME = 255;

/** Where an archive lies. `file` has no folder; both folders are names.ts'. */
export interface ArchivePlace {
  where: 'repository' | 'node';
  file: string;
}

export const isKubeletFile = (file: string): boolean => file.length <= MAX_NAME && KUBELET_FILE.test(file);
export const isRepositoryFile = (file: string): boolean =>
  file.length <= MAX_NAME && REPOSITORY_FILE.test(file);

/** The moment as both kinds of names have it. */
export function stampOf(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** What is done to the tar before it is written: the end of its name tells it. */
export function suffixOf(compression: ArchiveCompression, encrypted: boolean): string {
  const packed =
    compression === ArchiveCompression.ARCHIVE_COMPRESSION_GZIP
      ? '.gz'
      : compression === ArchiveCompression.ARCHIVE_COMPRESSION_ZSTD
        ? '.zst'
        : '';
  return `.tar${packed}${encrypted ? '.age' : ''}`;
}

/**
 * The kubelet's own name for an archive (kubernetes pkg/kubelet/kubelet_pods.go, CheckpointContainer). The kubelet fails when
 * it is longer than a file system takes; we cut the pod's name then and put a few digits of its hash in place of the rest.
 */
export function kubeletFile(pod: CheckedPod, container: string, stamp: string, suffix: string): string {
  const { name, namespace } = checkPod(pod);
  const rest = `_${namespace}-${checkLabel(container, 'container name')}-${stamp}${suffix}`;
  const room = MAX_NAME - 'checkpoint-'.length - rest.length;
  const short =
    name.length <= room
      ? name
      : `${name.slice(0, room - 9)}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
  return `checkpoint-${short}${rest}`;
}

/** `<podUID>-<container>-<timestamp>.tar`. */
export function repositoryFile(pod: CheckedPod, container: string, stamp: string, suffix: string): string {
  const uid = checkUid(pod.uid, 'pod UID').toLowerCase();
  return `${uid}-${checkLabel(container, 'container name')}-${stamp}${suffix}`;
}

export const sharedUri = (file: string): string => `shared://${file}`;
export const nodeUri = (file: string): string => `file://${KUBELET_CHECKPOINTS}/${file}`;

/** @throws InvalidArgument for what no archive of ours or of the kubelet's can be called */
export function parseArchiveUri(uri: string): ArchivePlace {
  const [, scheme, rest = ''] = /^(shared|file):\/\/(.*)$/s.exec(uri) ?? [];
  if (scheme === 'shared' && isRepositoryFile(rest)) return { where: 'repository', file: rest };
  const folder = `${KUBELET_CHECKPOINTS}/`;
  if (scheme === 'file' && rest.startsWith(folder) && isKubeletFile(rest.slice(folder.length))) {
    return { where: 'node', file: rest.slice(folder.length) };
  }
  throw new LpmError('InvalidArgument', `"${uri.slice(0, 300)}" is not the URI of an archive.`, {
    hint: `Archives are shared://<file> in ${CHECKPOINT_REPOSITORY}, or file://${KUBELET_CHECKPOINTS}/<file>.`,
  });
}
