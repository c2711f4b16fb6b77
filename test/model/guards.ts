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
  'what is restored is frozen before CRIU lets it go': calm,
  'the runtime has had its answers before the commit': {
    faults: [{ kind: 'late', since: 'held', after: [0, 3], ms: [50, 1_000] }],
  },
  'the claim is made before anything executes': calm,
  'the claim is won by one side only': {
    faults: [
      { kind: ['migration is deleted', 'source pod is force-deleted'], since: 'held', after: [0, 4] },
      { kind: 'late', since: 'held', after: [0, 6], ms: [500, 5_000] },
    ],
  },
  'the claim is synced before anything executes': {
    setup: { sameNode: false },
    faults: [{ kind: 'target loses power', since: 'executed', after: [0, 3] }],
  },
  'a new agent lets go what its predecessor has claimed': {
    setup: { sameNode: false },
    faults: [{ kind: 'agent of the target dies', since: 'claimed', after: [0, 3] }],
  },
  'a checkpoint of a former boot is not given away': {
    setup: { sameNode: false, probe: 'none' },
    faults: [
      { kind: 'cut source and target', since: 'fenced', after: [0, 4], ms: [200, 2_000] },
      { kind: 'source loses power', since: 'checkpointed', after: [0, 6], ms: [30, 30] },
      { kind: 'cut controller and API server', since: 'checkpointed', after: [0, 20], ms: [60_000, 150_000] },
    ],
  },
  'revoke comes before thaw': {
    faults: [{ kind: 'migration is deleted', since: 'attempted', after: [0, 30] }],
  },
} satisfies Record<string, Pattern>;
export type Guard = keyof typeof GUARDS;

/** Guards of the controller's own decisions: left out, it is shown what would let it do the wrong thing. */
export function weaken(observed: Observed, without: Guard | undefined): Observed {
  switch (without) {
    case 'revoke comes before thaw':
      return {
        ...observed,
        operations: { ...observed.operations, revoke: { state: 'done', value: Claim.CLAIM_REVOKED, at: 0 } },
      };
    default:
      return observed;
  }
}
