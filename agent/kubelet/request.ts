import { LpmError } from '../../common/errors.js';
import type { ArchiveOptions, CheckpointByKubeletRequest } from '../../proto/gen/lpm/v1/agent.js';
import { checkContainerId, checkLabel, checkPod, checkUid, type CheckedPod } from '../names.js';

/** A CheckpointByKubeletRequest whose every field may be used. */
export interface CheckedKubeletRequest {
  checkpointUid: string;
  pod: CheckedPod;
  container: { name: string; containerId: string };
  timeoutMs?: number;
  archive: ArchiveOptions;
}

/** @throws InvalidArgument */
export function checkKubeletRequest(request: CheckpointByKubeletRequest): CheckedKubeletRequest {
  const { archive, container, timeout } = request;
  if (!archive) throw new LpmError('InvalidArgument', 'The request does not say how to keep the archive.');
  if (!container) throw new LpmError('InvalidArgument', 'The request names no container.');
  const timeoutMs = timeout ? Number(timeout.seconds) * 1000 + Math.round(timeout.nanos / 1e6) : undefined;
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= 86_400_000)) {
    throw new LpmError('InvalidArgument', 'timeout is not between 0 and 24 hours.');
  }
  return {
    checkpointUid: checkUid(request.checkpointUid, 'checkpoint UID').toLowerCase(),
    pod: checkPod(request.pod),
    container: {
      name: checkLabel(container.name, 'container name'),
      containerId: checkContainerId(container.containerId, 'container ID'),
    },
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    archive,
  };
}
