/** What keeps two copies from running, or none: each of these can be left out of the model, which must then fail. */
import { Claim } from '../../proto/gen/lpm/v1/agent.js';
import type { Observed } from '../../controller/migration/observed.js';

export const GUARDS = [
  'a barrier stands before what cannot be taken back',
  'a status that another has written drops the context',
  'a pod is deleted by its UID',
  'the source is frozen before it is dumped',
  'the container ID is checked before the dump',
  'a fence stands around the pod',
  'what runs is looked at once more behind the fence',
  'a tombstone keeps late requests from freezing',
  'only its own freeze is thawed',
  'the fence stays until the kubelet stops the sandbox',
  'the handler refuses a second attempt',
  'the handler looks at its deadline at post-restore',
  'the claim is made before anything executes',
  'executed is won by one side only',
  'executed is synced before the first instruction',
  'revoke takes executed by the same link',
  'whoever reads a mark syncs it first',
  'a checkpoint of a former boot is not given away',
  'only what has executed is committed',
  'revoke comes before thaw',
  'a source that was restarted is noticed',
  'what a lost handler restored is taken away',
] as const;
export type Guard = (typeof GUARDS)[number];

/** Guards of the controller's own decisions: left out, it is shown what would let it do the wrong thing. */
export function weaken(observed: Observed, without: Guard | undefined): Observed {
  const { state } = observed.target;
  switch (without) {
    case 'only what has executed is committed': {
      if (state?.value?.claim !== Claim.CLAIM_COMMITTED) return observed;
      const containers = state.value.containers.map((each) => ({ ...each, completed: true }));
      return {
        ...observed,
        target: { ...observed.target, state: { value: { ...state.value, containers } } },
      };
    }
    case 'revoke comes before thaw':
      return {
        ...observed,
        operations: { ...observed.operations, revoke: { state: 'done', value: Claim.CLAIM_REVOKED, at: 0 } },
      };
    case 'a source that was restarted is noticed': {
      const { pod } = observed.source;
      if (!pod?.status) return observed;
      const status = { ...pod.status, containerStatuses: [] };
      return { ...observed, source: { ...observed.source, pod: { ...pod, status } } };
    }
    default:
      return observed;
  }
}
