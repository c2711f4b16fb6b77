import { apiPort, gateway, kubeletPort, nodePlans } from './layout.js';

/** Where a rule is to be set: the namespace of the API server and the controller, or a node's. */
export type Place = 'lab' | { node: string };

/** Packets of one link as they arrive at, or leave, one of its ends. */
export interface LinkEnd {
  place: Place;
  /** Device through which they leave. */
  device: string;
  /** iptables matches for what comes in over the link, and for what goes out; one rule each. */
  incoming: string[][];
  outgoing: string[][];
}

/** Ports of the agents: data and health. */
const agentPorts = '50051,50052';
const devices = { lab: 'lpm0', node: 'eth0' };

export const endpoints: readonly string[] = [
  ...nodePlans.map(({ name }) => name),
  'api-server',
  'controller',
  ...nodePlans.map(({ name }) => `agent/${name}`),
];

type Endpoint = { kind: 'api-server' | 'controller' } | { kind: 'node' | 'agent'; node: string };

function endpoint(name: string): Endpoint {
  if (!endpoints.includes(name)) {
    throw new Error(`There is no ${name} to cut off or slow down; there are ${endpoints.join(', ')}.`);
  }
  if (name === 'api-server' || name === 'controller') return { kind: name };
  return name.startsWith('agent/')
    ? { kind: 'agent', node: name.slice('agent/'.length) }
    : { kind: 'node', node: name };
}

/**
 * The two ends of the link between two parts of the cluster, and which packets are theirs. A node stands for all that
 * comes from it, its pods too; `agent/NODE` for the agent's ports alone. API server and controller share an address, so
 * they are told apart by ports.
 *
 * @throws one sentence for parts that do not exist or have nothing to say to each other.
 */
export function linkEnds(a: string, b: string): LinkEnd[] {
  const [first, second] = [endpoint(a), endpoint(b)];
  const nodes = [first, second].flatMap((one) => ('node' in one ? [one] : []));
  const central = [first, second].flatMap((one) => ('node' in one ? [] : [one.kind]));
  if (new Set(nodes.map(({ node }) => node)).size < nodes.length || new Set(central).size < central.length) {
    throw new Error(`${a} and ${b} are not two ends of a link.`);
  }
  const [one, other] = nodes;
  if (!one) {
    // Both live in one namespace and talk over its loopback device, by the bridge's address; Kubernetes' own controllers
    // and the machine's relay do by 127.0.0.1 and go on.
    const match = [['-d', gateway, '-p', 'tcp', '-m', 'multiport', '--ports', String(apiPort)]];
    const incoming = match.map((words) => ['-i', 'lo', ...words]);
    return [{ place: 'lab', device: 'lo', incoming, outgoing: match }];
  }
  if (other) {
    const ports = nodes.some(({ kind }) => kind === 'agent') ? agentPorts : undefined;
    return [
      nodeEnd(one.node, addressesOf(other.node), ports),
      nodeEnd(other.node, addressesOf(one.node), ports),
    ];
  }
  if (one.kind === 'agent' && central[0] === 'api-server') {
    throw new Error('Agents do not talk to the API server.');
  }
  const ports = central[0] === 'api-server' ? `${apiPort},${kubeletPort}` : agentPorts;
  const lab: LinkEnd = {
    place: 'lab',
    device: devices.lab,
    ...matches(addressesOf(one.node), ports),
  };
  return [lab, nodeEnd(one.node, [gateway], ports)];
}

const nodeEnd = (node: string, peer: readonly string[], ports: string | undefined): LinkEnd => ({
  place: { node },
  device: devices.node,
  ...matches(peer, ports),
});

function matches(peer: readonly string[], ports: string | undefined): Pick<LinkEnd, 'incoming' | 'outgoing'> {
  const rest = ports ? ['-p', 'tcp', '-m', 'multiport', '--ports', ports] : [];
  return {
    incoming: peer.map((address) => ['-s', address, ...rest]),
    outgoing: peer.map((address) => ['-d', address, ...rest]),
  };
}

function addressesOf(node: string): string[] {
  const plan = nodePlans.find(({ name }) => name === node);
  return plan ? [`${plan.ip}/32`, plan.podCidr] : [];
}
