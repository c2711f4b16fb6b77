/** The record of an election as a Lease object (coordination.k8s.io/v1). */
import type { Lease } from '../../common/kube/types.js';
import type { LeaseSeen } from './election.js';

export function seenOf({ metadata, spec }: Lease): LeaseSeen {
  return {
    // A record that was deleted and made again is another one.
    version: `${metadata.uid}/${metadata.resourceVersion}`,
    holder: spec?.holderIdentity ?? '',
    durationMs: (spec?.leaseDurationSeconds ?? 0) * 1000,
  };
}

/** The Lease with us as its holder: taken over from `old`, or renewed when it was ours. `now` is the time of day. */
export function heldLease(
  old: Lease | undefined,
  name: { name: string; namespace: string },
  identity: string,
  durationMs: number,
  now: Date,
): Lease {
  const spec = old?.spec ?? {};
  const ours = spec.holderIdentity === identity;
  return {
    metadata: old?.metadata ?? name,
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
