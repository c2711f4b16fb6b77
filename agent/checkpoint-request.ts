import { LpmError } from '../common/errors.js';
import { TcpMode, type CheckpointOwner, type CheckpointRequest } from '../proto/gen/lpm/v1/agent.js';
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
}

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
  };
}

function checkOwner(owner: CheckpointOwner): Owner {
  return {
    restoreUid: checkUid(owner.restoreUid, 'restore UID'),
    migrationName: checkSubdomain(owner.migrationName, 'migration name'),
    targetPodUid: checkUid(owner.targetPodUid, 'target pod UID'),
    targetNodeName: checkSubdomain(owner.targetNodeName, 'target node'),
  };
}
