import { linkEnds, type LinkEnd, type Place } from './network-rules.js';
import type { NodeHandle } from './node/handle.js';
import { inNetworkOf } from './node/network.js';
import { nodePlans } from './layout.js';
import type { ProcessRecord } from './processes.js';

export interface Slowness {
  /** Megabits per second that the link carries in each direction. */
  rateMbit?: number;
  /** Milliseconds that each packet takes longer in each direction. Needs a kernel with netem. */
  delayMs?: number;
}

/** Faults of the network between the parts of a cluster; each lasts until heal(), or a node's end of it until its reboot. */
export interface NetworkFaults {
  /** Nothing arrives any more, in either direction, and nobody is told. */
  cut(a: string, b: string): Promise<void>;
  slow(a: string, b: string, slowness: Slowness): Promise<void>;
  /** Ends all faults. */
  heal(): Promise<void>;
}

const chain = 'LPM-FAULTS';

/**
 * @param root the nodes' root, whose programs (ip, tc, iptables) are used.
 * @param lab process whose network namespace holds API server and controller.
 */
export function networkFaults(root: string, lab: ProcessRecord, nodes: readonly NodeHandle[]): NetworkFaults {
  const script = (place: Place, text: string): Promise<string> => {
    const node = place === 'lab' ? undefined : nodes.find(({ name }) => name === place.node);
    if (place !== 'lab' && !node) throw new Error(`There is no node ${place.node}.`);
    return inNetworkOf(root, node ? node.init.pid : lab.pid, ['/bin/sh', '-ec', text]);
  };
  return {
    cut: async (a, b) => {
      for (const end of linkEnds(a, b)) await script(end.place, cutScript(end));
    },
    slow: async (a, b, slowness) => {
      if (!slowness.rateMbit && !slowness.delayMs) throw new Error('Say how slow: a rate, a delay, or both.');
      const ends = linkEnds(a, b);
      if (slowness.delayMs) {
        await script('lab', 'unshare --net tc qdisc add dev lo root netem delay 1ms').catch(
          (error: unknown) => {
            throw new Error(
              'This kernel has no netem (CONFIG_NET_SCH_NETEM), so packets cannot be delayed; a rate works.',
              { cause: error },
            );
          },
        );
      }
      for (const end of ends) await script(end.place, slowScript(end, slowness));
    },
    heal: async () => {
      const places: Place[] = ['lab', ...nodePlans.map(({ name }) => ({ node: name }))];
      await Promise.all(places.map((place) => script(place, healScript)));
    },
  };
}

const makeChains = ['PREROUTING', 'POSTROUTING']
  .map(
    (hook) =>
      `iptables -w -t mangle -N ${chain}-${hook} 2>/dev/null && iptables -w -t mangle -A ${hook} -j ${chain}-${hook} || true`,
  )
  .join('\n');

/** Packets are dropped where they arrive: one that is dropped where it leaves is an error to its sender. */
const cutScript = ({ incoming }: LinkEnd): string =>
  [
    makeChains,
    ...incoming.map((match) => `iptables -w -t mangle -A ${chain}-PREROUTING ${match.join(' ')} -j DROP`),
  ].join('\n');

/**
 * A class of its own for the link below an HTB that lets all else pass. The class is chosen by iptables: tc's own
 * classifiers are missing in some kernels.
 */
function slowScript({ device, outgoing }: LinkEnd, { rateMbit, delayMs }: Slowness): string {
  return [
    makeChains,
    `tc qdisc show dev ${device} | grep -q 'htb 1:' || tc qdisc replace dev ${device} root handle 1: htb default 0`,
    `id=$(tc class show dev ${device} | wc -l); id=$((id + 10))`,
    `tc class add dev ${device} parent 1: classid 1:$id htb rate ${rateMbit ?? 100_000}mbit burst 128k cburst 128k`,
    ...(delayMs ? [`tc qdisc add dev ${device} parent 1:$id netem delay ${delayMs}ms limit 10000`] : []),
    ...outgoing.map(
      (match) =>
        `iptables -w -t mangle -A ${chain}-POSTROUTING -o ${device} ${match.join(' ')} -j CLASSIFY --set-class 1:$id`,
    ),
  ].join('\n');
}

const healScript = [
  ...['PREROUTING', 'POSTROUTING'].flatMap((hook) => [
    `iptables -w -t mangle -D ${hook} -j ${chain}-${hook} 2>/dev/null || true`,
    `iptables -w -t mangle -F ${chain}-${hook} 2>/dev/null || true`,
    `iptables -w -t mangle -X ${chain}-${hook} 2>/dev/null || true`,
  ]),
  ...['lpm0', 'eth0', 'lo'].map(
    (device) =>
      `if tc qdisc show dev ${device} 2>/dev/null | grep -q 'htb 1:'; then tc qdisc del dev ${device} root; fi`,
  ),
].join('\n');
