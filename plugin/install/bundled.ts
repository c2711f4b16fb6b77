/**
 * The objects of manifests/, which the build writes into the program. To be loaded when they are needed: they are larger than all
 * that a help takes.
 */
import type { KubeObject } from '../../common/kube/types.js';

declare const LPM_MANIFESTS: string | undefined;

/** An object of the manifests, whole. */
export interface ManifestObject extends KubeObject {
  apiVersion: string;
  kind: string;
  [field: string]: unknown;
}

export async function manifestObjects(): Promise<ManifestObject[]> {
  if (typeof LPM_MANIFESTS === 'string') return JSON.parse(LPM_MANIFESTS) as ManifestObject[];
  // Run from the sources: read where they are.
  const { installObjects } = await import('../../manifests/install.mjs');
  return (await installObjects()) as ManifestObject[];
}
