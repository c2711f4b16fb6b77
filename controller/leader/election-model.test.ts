import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runElection, type Fate, type Scenario, type Trouble } from './election-model.testing.js';

const times = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };
/** While it is troubled; then everything works again. */
const TROUBLED_MS = 120_000;
/** The slowest clock waits longest: a lease, and the attempts around it. */
const CALM_MS = 40_000;

const delay = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 30_000 }) },
);
const rarely = fc.oneof(
  { weight: 4, arbitrary: fc.constant(false) },
  { weight: 1, arbitrary: fc.constant(true) },
);
const maybeLater = fc.option(fc.integer({ min: 0, max: 30_000 }), { nil: undefined, freq: 3 });
const fate: fc.Arbitrary<Fate> = fc.record({
  there: delay,
  back: delay,
  requestLost: rarely,
  answerLost: rarely,
  repeatedAfter: maybeLater,
  answeredAgainAfter: maybeLater,
});
const moment = { at: fc.integer({ min: 0, max: TROUBLED_MS }), who: fc.nat(2) };
const trouble: fc.Arbitrary<Trouble> = fc.oneof(
  fc.record({ ...moment, kind: fc.constant('stop' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
  fc.record({ ...moment, kind: fc.constant('restart' as const) }),
  fc.record({ ...moment, kind: fc.constant('release' as const) }),
);
/** Any two clocks differ in rate by less than 15/10: here up to 1.22 to 0.82. */
const clock = fc.record({
  offset: fc.integer({ min: -1_000_000, max: 1_000_000 }),
  rate: fc.double({ min: 0.82, max: 1.22, noNaN: true }),
});
const scenario = (change: Partial<Scenario> = {}): fc.Arbitrary<Scenario> =>
  fc
    .record({
      clocks: fc.array(clock, { minLength: 2, maxLength: 3 }),
      fates: fc.array(fate, { maxLength: 60 }),
      troubles: fc.array(trouble, { maxLength: 8 }),
    })
    .map((drawn) => ({ times, untilMs: TROUBLED_MS + 30_000 + CALM_MS, ...drawn, ...change }));

test('whatever clocks and network do, and whoever stands still or dies: never two believe to lead', () => {
  fc.assert(
    fc.property(scenario(), (drawn) => {
      assert.deepEqual(runElection(drawn).two, []);
    }),
    { numRuns: 1000 },
  );
});

test('when the network is well again, one leads', () => {
  fc.assert(
    fc.property(scenario(), (drawn) => {
      // What was delayed before has arrived by then.
      const fates = drawn.fates.slice(0, 20);
      const outcome = runElection({
        ...drawn,
        fates,
        troubles: drawn.troubles.map(endsEarly),
        untilMs: 400_000,
      });
      assert.notEqual(outcome.leader, undefined);
      assert.ok(outcome.terms >= 1);
    }),
    { numRuns: 150 },
  );
});
const endsEarly = (trouble: Trouble): Trouble => ({ ...trouble, at: trouble.at / 4 });

/** The model finds what is wrong: without one of the assumptions it fails. */
const broken: [string, Partial<Scenario>][] = [
  ['a deadline that is longer than the lease', { times: { ...times, renewDeadlineMs: 25_000 } }],
  [
    'a clock that runs half as fast',
    {
      clocks: [
        { offset: 0, rate: 0.5 },
        { offset: 0, rate: 1 },
        { offset: 0, rate: 1.2 },
      ],
    },
  ],
];
for (const [what, change] of broken) {
  test(`${what} leads to two leaders, and the model sees it`, () => {
    const { failed } = fc.check(
      fc.property(scenario(change), (drawn) => {
        assert.deepEqual(runElection(drawn).two, []);
      }),
      { numRuns: 1000, endOnFailure: true },
    );
    assert.equal(failed, true);
  });
}
