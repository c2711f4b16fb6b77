/**
 * What keeps two copies from running, or none. Each can be left out of the model, which must then fail under the trouble that
 * the guard is there for.
 */
import { Claim } from '../../proto/gen/lpm/v1/agent.js';
import type { Observed } from '../../controller/migration/observed.js';
import type { Pattern } from './schedule.js';

const calm: Pattern = { faults: [] };

export const GUARDS = {
  'a barrier stands before what cannot be taken back': {
    setup: { controllers: 1, sameNode: false },
    faults: [
      {
        kind: 'cut controller and API server',
        since: 'the migration begins',
        after: [20, 90],
        ms: [1_000, 10_000],
      },
      { kind: 'controller dies', since: 'frozen', after: [0, 6] },
      { kind: 'migration is deleted', since: 'frozen', after: [0, 40] },
    ],
  },
  'a finalizer holds the migration while it is active': {
    faults: [
      { kind: 'migration is deleted', since: 'frozen', after: [0, 40] },
      { kind: 'controller dies', since: 'frozen', after: [0, 40] },
    ],
  },
  'a status that another has written drops the context': {
    setup: { controllers: 2 },
    faults: [
      { kind: 'controller stands still', since: 'rolls back', after: [0, 12], ms: [20_000, 90_000] },
      { kind: ['target is lost', 'migration is deleted'], since: 'ready', after: [0, 10] },
    ],
  },
  'a pod is deleted by its UID': {
    faults: [{ kind: 'source pod is replaced', since: 'claimed', after: [0, 25] }],
  },
  'the source is frozen before it is dumped': calm,
  'the container ID is checked before the dump': {
    setup: { probe: 'none' },
    faults: [
      {
        kind: 'cut source and API server',
        since: 'the migration begins',
        after: [25, 45],
        ms: [5_000, 60_000],
      },
      { kind: 'the source is killed', since: 'the migration begins', after: [30, 80] },
    ],
  },
  'a fence stands around the pod': { setup: { probe: 'unannounced' }, faults: [] },
  'what runs is looked at once more behind the fence': {
    setup: { probe: 'none' },
    faults: [
      { kind: 'cut source and API server', since: 'frozen', after: [0, 6], ms: [5_000, 60_000] },
      { kind: 'the source is killed', since: 'dumped', after: [0, 1] },
      { kind: 'late', since: 'dumped', after: [0, 2], ms: [500, 5_000] },
    ],
  },
  'a tombstone keeps late requests from freezing': {
    faults: [
      { kind: 'duplicate', since: 'the migration begins', after: [20, 70], ms: [1_000, 20_000] },
      { kind: ['CRIU fails', 'migration is cancelled'], since: 'frozen', after: [0, 2] },
    ],
  },
  'only its own freeze is thawed': {
    setup: { again: true, graceMs: 100, probe: 'none' },
    faults: [
      { kind: 'CRIU fails', since: 'frozen', after: [0, 0] },
      { kind: 'duplicate', since: 'rolls back', after: [0, 16], ms: [1_000, 12_000] },
    ],
  },
  'the fence stays until the kubelet stops the sandbox': { setup: { probe: 'unannounced' }, faults: [] },
  'the handler looks at its deadline at post-restore': {
    faults: [
      {
        kind: ['runtime of the target restarts', 'kubelet of the target dies'],
        since: 'attempted',
        after: [0, 8],
      },
    ],
  },
  'the claim is made before anything executes': calm,
  'executed is won by one side only': {
    setup: { sameNode: false },
    faults: [
      { kind: 'late', since: 'claimed', after: [0, 1], ms: [20_000, 90_000] },
      { kind: 'kubelet of the target dies', since: 'claimed', after: [1, 6] },
    ],
  },
  'executed is synced before the first instruction': {
    setup: { sameNode: false },
    faults: [{ kind: 'target loses power', since: 'executed', after: [0, 3] }],
  },
  'revoke takes executed by the same link': {
    faults: [
      { kind: ['migration is deleted', 'source pod is force-deleted'], since: 'claimed', after: [0, 4] },
    ],
  },
  'whoever reads a mark syncs it first': {
    setup: { sameNode: false },
    faults: [
      { kind: 'late', since: 'claimed', after: [0, 4], ms: [2_500, 10_000] },
      { kind: 'target loses power', since: 'committed', after: [0, 30] },
    ],
  },
  'a checkpoint of a former boot is not given away': {
    setup: { sameNode: false, probe: 'none' },
    faults: [
      { kind: 'cut source and target', since: 'fenced', after: [0, 4], ms: [200, 2_000] },
      { kind: 'source loses power', since: 'checkpointed', after: [0, 6], ms: [30, 30] },
      { kind: 'cut controller and API server', since: 'checkpointed', after: [0, 20], ms: [60_000, 150_000] },
    ],
  },
  'only what has executed is committed': {
    setup: { sameNode: false },
    faults: [{ kind: 'target loses power', since: 'claimed', after: [0, 2] }],
  },
  'revoke comes before thaw': {
    faults: [{ kind: 'migration is deleted', since: 'ready', after: [0, 10] }],
  },
  'what a lost handler restored is taken away': {
    setup: { sameNode: false },
    faults: [{ kind: 'kubelet of the target dies', since: 'executed', after: [0, 3] }],
  },
} satisfies Record<string, Pattern>;
export type Guard = keyof typeof GUARDS;

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
    default:
      return observed;
  }
}
