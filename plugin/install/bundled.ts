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

/** A step of a JSON patch (RFC 6902). */
export interface PatchStep {
  op: 'add' | 'replace' | 'remove';
  path: string;
  value?: unknown;
}

/** What a component of manifests/components adds and changes. */
export interface Component {
  objects: ManifestObject[];
  patches: { target: { kind: string; name: string }; patch: PatchStep[] | Record<string, unknown> }[];
}

export interface Manifests {
  /** In the order in which they are applied. */
  objects: ManifestObject[];
  components: Record<string, Component>;
}

export async function bundledManifests(): Promise<Manifests> {
  if (typeof LPM_MANIFESTS === 'string') return JSON.parse(LPM_MANIFESTS) as Manifests;
  // Run from the sources: read where they are.
  const { installData } = await import('../../manifests/install.mjs');
  return (await installData()) as Manifests;
}
