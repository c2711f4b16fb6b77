import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { elapsed, estimateOffset, type ClockSample } from './clock.js';

test('without an answer there is no estimate', () => {
  assert.equal(estimateOffset([]), undefined);
});

test('of several round trips the shortest one counts', () => {
  const offset = estimateOffset([
    { sent: 1000, agentTime: 6100, received: 1200 },
    { sent: 2000, agentTime: 7005, received: 2010 },
  ]);
  assert.deepEqual(offset, { offsetMs: 5000, errorMs: 6 });
});

test('whatever the clocks and the network do, the true time lies within the stated error', () => {
  const clock = fc.record({
    skew: fc.integer({ min: -10_000_000, max: 10_000_000 }),
    trips: fc.array(fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 0, max: 500 })), {
      minLength: 1,
      maxLength: 4,
    }),
  });
  fc.assert(
    fc.property(clock, clock, fc.integer({ min: 0, max: 100_000 }), (source, target, duration) => {
      const estimate = ({ skew, trips }: typeof source) =>
        estimateOffset(
          trips.map(([there, back], i): ClockSample => {
            const sent = 1_000_000 + i * 5000;
            return { sent, agentTime: sent + there + skew, received: sent + there + back };
          }),
        )!;
      const frozen = 2_000_000;
      const measured = elapsed(
        { time: frozen + source.skew, clock: estimate(source) },
        { time: frozen + duration + target.skew, clock: estimate(target) },
      );
      assert.ok(Math.abs(measured.milliseconds - duration) <= measured.errorMilliseconds);
    }),
  );
});
