/**
 * Time between two instants that were read from different clocks. The offset of each agent's clock to ours is estimated
 * from request round trips, as SNTP does (RFC 4330, section 5): of several the one with the shortest round trip is
 * the best, because its answer can have been taken at most half a round trip away from the middle.
 */

/** One exchange; milliseconds since the epoch, sent and received by our clock. */
export interface ClockSample {
  sent: number;
  agentTime: number;
  received: number;
}

/** Offset is agent's clock minus ours; the true offset lies within errorMs of it. */
export interface ClockOffset {
  offsetMs: number;
  errorMs: number;
}

/** Times come over the wire as Date: fractions of milliseconds are lost. */
const RESOLUTION_MS = 1;

export function estimateOffset(samples: readonly ClockSample[]): ClockOffset | undefined {
  let best: ClockSample | undefined;
  for (const sample of samples) {
    if (!best || sample.received - sample.sent < best.received - best.sent) best = sample;
  }
  if (!best) return undefined;
  return {
    offsetMs: best.agentTime - (best.sent + best.received) / 2,
    errorMs: Math.max(0, best.received - best.sent) / 2 + RESOLUTION_MS,
  };
}

/**
 * Milliseconds from `from` (by one agent's clock) to `to` (by another's), whole and not below 0, and a bound of the
 * error that comes from the clocks.
 */
export function elapsed(
  from: { time: number; clock: ClockOffset },
  to: { time: number; clock: ClockOffset },
): { milliseconds: number; errorMilliseconds: number } {
  const difference = to.time - to.clock.offsetMs - (from.time - from.clock.offsetMs);
  return {
    milliseconds: Math.max(0, Math.round(difference)),
    errorMilliseconds: Math.ceil(from.clock.errorMs + to.clock.errorMs),
  };
}
