import { LpmError } from '../../common/errors.js';
import { isArtifactPath } from '../artifacts.js';
import { checkLabel, checkPod, checkSubdomain, checkUid, type CheckedPod } from '../names.js';

/** The first entry of an archive of ours: it tells what all others are. */
export const MANIFEST_FILE = 'lpm.json';

/** Contents of lpm.json. */
export interface ArchiveManifest {
  version: 1;
  checkpointUid: string;
  /** UID of the namespace kube-system of the cluster in which it was made. */
  clusterUid: string;
  nodeName: string;
  pod: CheckedPod;
  container: string;
  /** When the container was frozen, ISO 8601. */
  time: string;
  /** All other entries, in their order. */
  files: ArchivedFile[];
  /** The pod object as JSON; empty when it was not known. */
  podJson: string;
}

export interface ArchivedFile {
  path: string;
  size: number;
  /** Hex. */
  sha256: string;
}

/** A process has about seven files and one more for each thread. */
const MAX_FILES = 100_000;
/** The list, and a pod object of a mebibyte as a JSON string. */
export const MAX_MANIFEST_BYTES = 32 * 1024 * 1024;
/** More than any file system holds, and little enough for exact sums of them. */
const MAX_FILE_BYTES = 2 ** 43;

/**
 * Reads lpm.json without believing it: known paths, each once, sizes that are sizes.
 *
 * @throws ArtifactInvalid
 */
export function parseManifest(bytes: Buffer): ArchiveManifest {
  const bad = (what: string, cause?: unknown): LpmError =>
    new LpmError('ArtifactInvalid', `${MANIFEST_FILE} ${what}.`, { cause });
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw bad('is not JSON', error);
  }
  if (!isRecord(json)) throw bad('is not an object');
  if (json.version !== 1) throw bad(`has the unknown version ${JSON.stringify(json.version)?.slice(0, 20)}`);
  const string = (key: string): string => {
    const value = json[key];
    if (typeof value !== 'string') throw bad(`has no ${key}`);
    return value;
  };
  if (!Array.isArray(json.files)) throw bad('has no list of files');
  if (json.files.length > MAX_FILES) throw bad(`lists more than ${MAX_FILES} files`);
  const seen = new Set<string>();
  const files = json.files.map((each: unknown): ArchivedFile => {
    const { path, size, sha256 } = isRecord(each) ? each : {};
    if (typeof path !== 'string' || !isArtifactPath(path)) {
      throw bad(`lists the unknown file ${JSON.stringify(path)?.slice(0, 300)}`);
    }
    if (seen.has(path)) throw bad(`lists ${path} twice`);
    seen.add(path);
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > MAX_FILE_BYTES) {
      throw bad(`gives ${path} a size that is none`);
    }
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw bad(`gives ${path} a SHA-256 that is none`);
    }
    return { path, size, sha256 };
  });
  const pod = isRecord(json.pod) ? json.pod : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  try {
    return {
      version: 1,
      checkpointUid: checkUid(string('checkpointUid'), 'checkpoint UID'),
      clusterUid: checkUid(string('clusterUid'), 'cluster UID'),
      nodeName: checkSubdomain(string('nodeName'), 'node name'),
      pod: checkPod({ namespace: text(pod.namespace), name: text(pod.name), uid: text(pod.uid) }),
      container: checkLabel(string('container'), 'container name'),
      time: string('time'),
      files,
      podJson: text(json.podJson),
    };
  } catch (error) {
    if (error instanceof LpmError && error.reason === 'InvalidArgument') {
      throw bad(`is damaged: ${error.message.replace(/\.$/, '')}`, error);
    }
    throw error;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
