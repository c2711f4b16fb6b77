import type { CheckedPod } from '../names.js';

/**
 * `.lpm/<file>.json` in the repository, beside each archive: who made it for what, so that any agent can list and remove the
 * archives of its own cluster, and never those of another. It is there before the archive has its final name.
 */
export interface Sidecar {
  version: 1;
  clusterUid: string;
  checkpointUid: string;
  container: string;
  pod: CheckedPod;
  nodeName: string;
  /** Hex. */
  sha256: string;
  bytes: number;
  /** When it was written, ISO 8601, by that node's clock. */
  time: string;
}

/** @returns undefined for what is none */
export function parseSidecar(text: string): Sidecar | undefined {
  try {
    const json = JSON.parse(text) as Partial<Sidecar> | null;
    const strings = [json?.clusterUid, json?.checkpointUid, json?.container, json?.nodeName, json?.time];
    const pod = [json?.pod?.namespace, json?.pod?.name, json?.pod?.uid];
    if (json?.version !== 1 || typeof json.bytes !== 'number') return undefined;
    if ([...strings, ...pod, json.sha256].some((each) => typeof each !== 'string')) return undefined;
    return json as Sidecar;
  } catch {
    return undefined;
  }
}
