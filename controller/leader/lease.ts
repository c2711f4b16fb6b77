/** The record of an election as a Lease object (coordination.k8s.io/v1). */
import type { Lease } from '../../common/kube/types.js';
import { CONTROLLER_VERSION_ANNOTATION } from '../../common/api/names.js';
import type { LeaseSeen } from './election.js';

export function seenOf({ metadata, spec }: Lease): LeaseSeen {
  return {
    // A record that was deleted and made again is another one.
    version: `${metadata.uid}/${metadata.resourceVersion}`,
    holder: spec?.holderIdentity ?? '',
    durationMs: (spec?.leaseDurationSeconds ?? 0) * 1000,
  };
}

/**
 * The Lease with us as its holder: taken over from `old`, or renewed when it was ours. `now` is the time of day. Our version
 * stands on it, for people who ask what acts in their cluster.
 */
export function heldLease(
  old: Lease | undefined,
  name: { name: string; namespace: string },
  identity: string,
  durationMs: number,
  now: Date,
  version: string,
): Lease {
  const metadata = old?.metadata ?? name;
  const annotations = { ...old?.metadata.annotations, [CONTROLLER_VERSION_ANNOTATION]: version };
  const spec = old?.spec ?? {};
  const ours = spec.holderIdentity === identity;
  return {
    metadata: { ...metadata, annotations },
    spec: {
      ...spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      acquireTime: ours && spec.acquireTime ? spec.acquireTime : microTime(now),
      renewTime: microTime(now),
      leaseTransitions: (spec.leaseTransitions ?? 0) + (old && !ours ? 1 : 0),
    },
  };
}

/** The Lease without a holder, so that the next one starts at once. As client-go does it. */
export function releasedLease(old: Lease, now: Date): Lease {
  return {
    metadata: old.metadata,
    spec: {
      leaseDurationSeconds: 1,
      acquireTime: microTime(now),
      renewTime: microTime(now),
      leaseTransitions: old.spec?.leaseTransitions ?? 0,
      holderIdentity: '',
    },
  };
}

/** metav1.MicroTime: RFC 3339 with six digits of a second. */
export function microTime(time: Date): string {
  return time.toISOString().replace(/(\.\d{3})Z$/, '$1000Z');
}
