import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LpmError } from '../common/errors.js';
import type { Cri } from './cri.js';
import type { Host } from './host.js';
import type { OciSpec } from './oci.js';
import type { WaitingHandler } from './target.js';

/** CRI-O's annotation in the bundle (pkg/annotations of cri-o). */
const CRIO_LOG_PATH = 'io.kubernetes.cri-o.LogPath';

/**
 * Where the log of a container lies whose handler waits in `create`; empty when nobody says. containerd knows the container by
 * then. CRI-O says nothing of one before its `create` has returned ("is not yet created"), but has written the path into the
 * bundle. The bundle counts only where the runtime does not know the container: containerd can be told to hand on
 * annotations of the pod, and its author must not choose which file is written.
 */
export async function waitingLogPath(
  host: Pick<Host, 'path'>,
  cri: Pick<Cri, 'containerInfo'>,
  handler: Pick<WaitingHandler, 'containerId' | 'bundle'>,
): Promise<string> {
  try {
    return (await cri.containerInfo(handler.containerId)).logPath;
  } catch (error) {
    if (!(error instanceof LpmError) || error.reason !== 'ContainerNotFound') throw error;
  }
  const spec = JSON.parse(readFileSync(host.path(join(handler.bundle, 'config.json')), 'utf8')) as OciSpec;
  return spec.annotations?.[CRIO_LOG_PATH] ?? '';
}
