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
  'what a lost handler restored is taken away',
] as const;
export type Guard = (typeof GUARDS)[number];

export function weaken(observed: Observed, _without: Guard | undefined): Observed {
  const { state } = observed.target;
  if (
    state?.value?.claim === Claim.CLAIM_COMMITTED &&
    !state.value.containers.every(({ completed }) => completed)
  ) {
    const value = { ...state.value, claim: Claim.CLAIM_NONE };
    return { ...observed, target: { ...observed.target, state: { value } } };
  }
  return observed;
}
