/**
 * The nodes' clocks, as far as anybody publishes them: a kubelet renews its Lease every 10 seconds and writes its own time into it. It
 * can be up to as much behind, never ahead.
 */
import type { Node } from '../../../common/kube/types.js';
import { Check, type Finding } from '../finding.js';
import type { Observed } from '../observed.js';

/** What two clocks that are kept right may differ by, with the way to the server. */
const AHEAD_MS = 5_000;
/** Four renewals (nodeLeaseDurationSeconds), after which a node is not ready. */
const BEHIND_MS = 40_000;

export function clocks({ nodeLeases, now }: Observed, nodes: readonly Node[]): Finding[] {
  const check = new Check('clock');
  if ('hidden' in nodeLeases) return [check.unknown(nodeLeases.hidden)];
  return nodes.flatMap(({ metadata: { name }, status }) => {
    const renewed = Date.parse(nodeLeases.seen.get(name)?.spec?.renewTime ?? '');
    // Nothing is published, or the node says nothing at all: that is another check's.
    const isReady = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');
    if (Number.isNaN(renewed) || !isReady) return [];
    const ahead = renewed - now;
    if (ahead < AHEAD_MS && -ahead < BEHIND_MS) return [check.on(name).ok('near the API server’s')];
    const how = ahead > 0 ? `${seconds(ahead)} ahead of` : `at least ${seconds(-ahead - 10_000)} behind`;
    return [
      check
        .on(name)
        .warn(
          `The clock of the node is ${how} the API server's. The downtime is measured right all the same; certificates and tokens may seem expired or not valid yet.`,
          `timedatectl set-ntp true # on ${name}`,
        ),
    ];
  });
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
