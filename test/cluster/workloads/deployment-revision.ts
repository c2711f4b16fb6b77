/** Revisions of a Deployment: annotations of its ReplicaSets (deployment_util.go, SetNewReplicaSetAnnotations). */
import { bounds } from './deployment-bounds.js';
import type { Deployment, ReplicaSet } from './types.js';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
const historyAnnotation = 'deployment.kubernetes.io/revision-history';
const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas';
const maxAnnotation = 'deployment.kubernetes.io/max-replicas';

/** What a ReplicaSet does not take over from its Deployment. */
const ownAnnotations = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
]);

export function revisionOf(rs: ReplicaSet): number {
  return Number(rs.metadata.annotations?.[revisionAnnotation] ?? 0);
}

/** The set with the annotations that it has as the newest one. */
export function withAnnotations(
  deployment: Deployment,
  rs: ReplicaSet,
  revision: string,
  exists: boolean,
): ReplicaSet {
  const annotations: Record<string, string> = { ...rs.metadata.annotations };
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!ownAnnotations.has(key)) annotations[key] = value;
  }
  const old = annotations[revisionAnnotation];
  if (Number(old ?? 0) < Number(revision)) {
    annotations[revisionAnnotation] = revision;
    // A set that is taken up again remembers the revisions that it was.
    if (old !== undefined) {
      const history = annotations[historyAnnotation];
      annotations[historyAnnotation] = history ? `${history},${old}` : old;
    }
  }
  if (!exists) {
    annotations[desiredAnnotation] = String(deployment.spec?.replicas ?? 1);
    annotations[maxAnnotation] = String(bounds(deployment).max);
  }
  return { ...rs, metadata: { ...rs.metadata, annotations } };
}
