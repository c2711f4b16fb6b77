/** What fast-check chooses: one small world, and what goes wrong in it. All else follows from the seed. */
import fc from 'fast-check';

export interface Setup {
  /** Source and target are one node. */
  sameNode: boolean;
  /** Controllers that stand for election. */
  controllers: 1 | 2;
  /** cgroup version of each node. */
  sourceCgroup: 1 | 2;
  targetCgroup: 1 | 2;
  /**
   * What kills a container that stands still: nothing, a liveness probe that the controller reckons with, or somebody who does
   * not say so (a probe that had nearly failed before, an eviction).
   */
  probe: 'none' | 'liveness' | 'unannounced';
  graceMs: number;
  /** The process ends on SIGTERM. */
  diesOnTerm: boolean;
  timeoutSeconds: number;
  /** After a migration that failed, its user tries once more. */
  again: boolean;
}

export const FAULTS = [
  // To whatever is about to take its next step
  'late',
  'stall',
  'crash',
  // To messages
  'duplicate',
  'lose an answer of the API server',
  'cut controller and API server',
  'cut controller and source',
  'cut controller and target',
  'cut source and target',
  'cut source and API server',
  'cut target and API server',
  // To the nodes
  'source loses power',
  'target loses power',
  'source is lost',
  'target is lost',
  'kubelet of the source dies',
  'kubelet of the target dies',
  'runtime of the target restarts',
  'agent of the source dies',
  'agent of the target dies',
  'agent of the source is replaced',
  'agent of the target is replaced',
  'controller dies',
  'controller stands still',
  'CRIU fails',
  'the source is killed',
  // By users and the control plane
  'migration is touched',
  'migration is deleted',
  'migration is cancelled',
  'source pod is deleted',
  'source pod is force-deleted',
  'source pod is replaced',
  'target pod is deleted',
  'target pod is force-deleted',
] as const;
export type FaultKind = (typeof FAULTS)[number];

/** From where points are counted: what happens at most a few times in a migration, so that narrow windows are hit, too. */
export const MILESTONES = [
  'before',
  'the migration begins',
  'frozen',
  'dumped',
  'fenced',
  'checkpointed',
  'ready',
  'attempted',
  'held',
  'claimed',
  'executed',
  'rolls back',
  'thawed',
  'committed',
] as const;
export type Milestone = (typeof MILESTONES)[number];

export interface Fault {
  kind: FaultKind;
  /** So many points after... */
  after: number;
  /** ...this happened; 'before': after the fault that stands before it in the list. */
  since: Milestone;
  /** Milliseconds, where it takes time. */
  ms: number;
}

export interface Schedule {
  seed: number;
  setup: Setup;
  faults: Fault[];
}

/** A kind of trouble: faults that must come together to make it, each somewhere within its range. */
export interface Pattern {
  setup?: Partial<Setup>;
  faults: {
    kind: FaultKind | readonly FaultKind[];
    since: Milestone;
    after: readonly [number, number];
    ms?: readonly [number, number];
  }[];
}

const DURATIONS = [30, 300, 3_000, 15_000, 60_000, 150_000] as const;

const anyFault: fc.Arbitrary<Fault> = fc.record({
  kind: fc.constantFrom(...FAULTS),
  since: fc.constantFrom(...MILESTONES),
  after: fc.oneof(fc.nat(6), fc.nat(40), fc.nat(150)),
  ms: fc.constantFrom(...DURATIONS),
});

const anySetup: fc.Arbitrary<Setup> = fc.record({
  sameNode: fc.oneof(
    { weight: 7, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
  controllers: fc.constantFrom<1 | 2>(1, 2),
  sourceCgroup: fc.constantFrom<1 | 2>(1, 2),
  targetCgroup: fc.constantFrom<1 | 2>(1, 2),
  probe: fc.constantFrom<Setup['probe']>('none', 'none', 'liveness', 'unannounced'),
  graceMs: fc.constantFrom(100, 5_000, 30_000),
  diesOnTerm: fc.boolean(),
  timeoutSeconds: fc.constantFrom(600, 60),
  again: fc.boolean(),
});

/** Schedules with this trouble, and more of any kind when asked for. */
export function withPattern({ setup = {}, faults }: Pattern, more = 0): fc.Arbitrary<Schedule> {
  const made = faults.map(({ kind, since, after: [least, most], ms }) =>
    fc.record({
      kind: typeof kind === 'string' ? fc.constant(kind) : fc.constantFrom(...kind),
      since: fc.constant(since),
      after: fc.integer({ min: least, max: most }),
      ms: ms ? fc.integer({ min: ms[0], max: ms[1] }) : fc.constantFrom(...DURATIONS),
    }),
  );
  return fc.record({
    seed: fc.nat(),
    setup: anySetup.map((any) => ({ ...any, ...setup })),
    faults: fc
      .tuple(fc.tuple(...made), fc.array(anyFault, { maxLength: more }))
      .map(([first, others]) => [...first, ...others]),
  });
}

/** Anything at all; every second schedule has a trouble that must be met in a narrow window. */
export function schedules(patterns: readonly Pattern[]): fc.Arbitrary<Schedule> {
  const any = fc.record({
    seed: fc.nat(),
    setup: anySetup,
    faults: fc.array(anyFault, { maxLength: 7 }),
  });
  return fc.oneof(
    { weight: patterns.length, arbitrary: any },
    ...patterns.map((pattern) => ({ weight: 1, arbitrary: withPattern(pattern, 2) })),
  );
}

/** Period and threshold of the liveness probe, and what that comes to. */
export const LIVENESS = { periodSeconds: 10, failureThreshold: 3, timeoutSeconds: 1 };
export const LIVENESS_MS = 21_000;
export const UNANNOUNCED_MS = 100;
