import { LpmError } from '../common/errors.js';
import {
  ArchiveCompression,
  TcpMode,
  type ArchiveOptions,
  type CheckpointOwner,
  type CheckpointRequest,
} from '../proto/gen/lpm/v1/agent.js';
import type { Owner } from './artifacts.js';
import {
  checkContainerId,
  checkLabel,
  checkPod,
  checkSubdomain,
  checkUid,
  type CheckedPod,
} from './names.js';

/** A CheckpointRequest whose every field may be used. */
export interface CheckedRequest {
  checkpointUid: string;
  pod: CheckedPod;
  containers: { name: string; containerId: string }[];
  tcp: TcpMode;
  thawAfter: boolean;
  /** The migration that the source waits for; absent when it runs on after the dump. */
  owner?: Owner;
  /** Milliseconds that the dump may take; absent: the agent's own limit. */
  dumpTimeoutMs?: number;
  /** How its archives are kept; absent when it is kept as it is. */
  archive?: ArchiveRequest;
}

/** ArchiveOptions whose every field may be used. */
export interface ArchiveRequest {
  clusterUid: string;
  compression: ArchiveCompression;
  encrypt: boolean;
  /** JSON of an object, or empty. */
  podJson: string;
}

const MAX_POD_JSON_BYTES = 1024 * 1024;

/** @throws InvalidArgument */
export function checkRequest(request: CheckpointRequest): CheckedRequest {
  const containers = request.containers.map(({ name, containerId }) => ({
    name: checkLabel(name, 'container name'),
    containerId: checkContainerId(containerId, 'container ID'),
  }));
  if (containers.length === 0) throw new LpmError('InvalidArgument', 'The request names no container.');
  if (request.tcp === TcpMode.UNRECOGNIZED) throw new LpmError('InvalidArgument', 'Unknown TCP mode.');
  if (!request.thawAfter && !request.owner) {
    throw new LpmError(
      'InvalidArgument',
      'The request does not say for which migration the pod stays frozen.',
    );
  }
  if (request.archive && !request.thawAfter) {
    throw new LpmError(
      'InvalidArgument',
      'Only a checkpoint after which the pod runs on is packed into archives.',
    );
  }
  const { dumpTimeout } = request;
  const dumpTimeoutMs = dumpTimeout
    ? Number(dumpTimeout.seconds) * 1000 + Math.round(dumpTimeout.nanos / 1e6)
    : undefined;
  if (dumpTimeoutMs !== undefined && dumpTimeoutMs <= 0) {
    throw new LpmError('InvalidArgument', 'dump_timeout is not positive.');
  }
  return {
    checkpointUid: checkUid(request.checkpointUid, 'checkpoint UID'),
    pod: checkPod(request.pod),
    containers,
    tcp: request.tcp === TcpMode.TCP_MODE_UNSPECIFIED ? TcpMode.TCP_MODE_CLOSE : request.tcp,
    thawAfter: request.thawAfter,
    ...(request.owner ? { owner: checkOwner(request.owner) } : {}),
    ...(dumpTimeoutMs === undefined ? {} : { dumpTimeoutMs }),
    ...(request.archive ? { archive: checkArchiveOptions(request.archive) } : {}),
  };
}

/** @throws InvalidArgument */
export function checkArchiveOptions(options: ArchiveOptions): ArchiveRequest {
  const { clusterUid, compression, encrypt, podJson } = options;
  if (compression === ArchiveCompression.UNRECOGNIZED) {
    throw new LpmError('InvalidArgument', 'Unknown compression of archives.');
  }
  if (Buffer.byteLength(podJson) > MAX_POD_JSON_BYTES || !(podJson === '' || isObject(podJson))) {
    throw new LpmError('InvalidArgument', 'pod_json is not a JSON object of at most 1 MiB.');
  }
  return { clusterUid: checkUid(clusterUid, 'cluster UID').toLowerCase(), compression, encrypt, podJson };
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function checkOwner(owner: CheckpointOwner): Owner {
  return {
    restoreUid: checkUid(owner.restoreUid, 'restore UID'),
    migrationName: checkSubdomain(owner.migrationName, 'migration name'),
    targetPodUid: checkUid(owner.targetPodUid, 'target pod UID'),
    targetNodeName: checkSubdomain(owner.targetNodeName, 'target node'),
  };
}
