/** One connection to the agent of each node, with mutual TLS, kept open. */
import { Client, type ChannelCredentials } from '@grpc/grpc-js';
import { agentDnsName } from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import type { Node } from '../../common/kube/types.js';
import { Agent, DEFAULT_TIMEOUTS, type AgentTimeouts, type CallGate } from './agent.js';
import { Connection } from './connection.js';

export interface AgentPoolOptions {
  /** Answers the same object until the certificate is another one. */
  tls: () => ChannelCredentials;
  port: number;
  timeouts?: AgentTimeouts;
  /** Called before each call; what it throws fails the call. */
  assertMayCall?: () => void;
}

export class AgentPool {
  readonly #agents = new Map<string, { agent: Agent; connection: Connection }>();

  readonly #gate: CallGate;
  #closed = false;

  constructor(private readonly options: AgentPoolOptions) {
    this.#gate = { assertOpen: options.assertMayCall ?? (() => {}), calls: new Set() };
  }

  /**
   * The agent of a node. `node` is the node object when it is known; without it the last known address serves: a node
   * that was taken out of the cluster may still hold a frozen pod.
   */
  agent(name: string, node: Node | undefined): Agent {
    if (this.#closed)
      throw new LpmError('NotLeader', 'This controller stops and asks agents for nothing more.');
    const known = this.#agents.get(name);
    const ip = node?.status?.addresses?.find((address) => address.type === 'InternalIP')?.address;
    if (!ip) {
      if (known) return known.agent;
      throw new LpmError(
        'AgentNotReachable',
        node
          ? `Node ${name} has no InternalIP address.`
          : `Node ${name} is not known, so its agent cannot be reached.`,
        { hint: 'Look at the node: kubectl get nodes -o wide' },
      );
    }
    const address = `${ip.includes(':') ? `[${ip}]` : ip}:${this.options.port}`;
    if (known?.agent.address === address) return known.agent;
    if (known) void known.connection.close();
    const connection = this.#connection(name, address);
    const timeouts = this.options.timeouts ?? DEFAULT_TIMEOUTS;
    const agent = new Agent(name, address, connection, timeouts, this.#gate);
    this.#agents.set(name, { agent, connection });
    return agent;
  }

  #connection(name: string, address: string): Connection {
    let tls = this.options.tls();
    return new Connection(
      () => this.#open(name, address, (tls = this.options.tls())),
      // A call begins with the certificate that is valid now; what is under way goes on with the one before.
      { isOutdated: () => tls !== this.options.tls() },
    );
  }

  #open(name: string, address: string, tls: ChannelCredentials): Client {
    return new Client(address, tls, {
      // The certificate is bound to the node's name, not to its address.
      'grpc.ssl_target_name_override': agentDnsName(name),
      'grpc.default_authority': agentDnsName(name),
      // A dead peer is noticed within 15 s while a call is open.
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      // An agent that restarts is back within seconds: gRPC's default waits grow to two minutes.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.min_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2_000,
      'grpc.max_receive_message_length': 16 * 1024 * 1024,
      // Channels with the same options share connections across pools otherwise; a closed pool must be closed.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  /** Cancels what is under way at once, then closes the connections. What agents do of long work goes on without us. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const call of this.#gate.calls) call.cancel();
    const connections = [...this.#agents.values()].map(({ connection }) => connection);
    this.#agents.clear();
    await Promise.all(connections.map((connection) => connection.close()));
  }
}
