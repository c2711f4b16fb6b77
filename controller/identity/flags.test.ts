import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificateTimes } from './flags.js';

const times = (change: object) =>
  certificateTimes({ certificateLifetime: '24h', caLifetime: '8760h', caOverlap: '1h', ...change });

test('times of certificates are durations that fit together', () => {
  assert.deepEqual(times({}), {
    certificateMs: 86_400_000,
    lifetimeMs: 365 * 86_400_000,
    overlapMs: 3_600_000,
  });
  for (const [change, why] of [
    [{ certificateLifetime: 'long' }, /--certificate-lifetime long is not a duration/],
    [{ certificateLifetime: '5s' }, /10s or more/],
    [{ caLifetime: '30m', certificateLifetime: '1m', caOverlap: '1m' }, /--ca-lifetime must be 1h or more/],
    [{ caLifetime: '72h' }, /three times --ca-overlap and --certificate-lifetime together/],
  ] as const) {
    assert.throws(() => times(change), why);
  }
});
