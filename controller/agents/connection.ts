/**
 * The connection to one agent, made anew where it does not come about: TCP asks again ever more rarely, in the end once a
 * minute, and gRPC sets no limit to it. After a partition an agent would seem out of reach long after the network is well.
 */
import { connectivityState, type Client } from '@grpc/grpc-js';
import { closeClient } from '../../common/grpc/close-client.js';

/** TCP asks again after one and three seconds, then after seven. */
const PATIENCE_MS = 5_000;

export class Connection {
  #client: Client;
  /** Since when it is neither there nor at rest, by performance.now(). */
  #wantedSince: number | undefined;

  constructor(
    private readonly open: () => Client,
    private readonly options: {
      /** Whether `open` would make another one than it did last: by another certificate. */
      isOutdated?: () => boolean;
      patienceMs?: number;
    } = {},
  ) {
    this.#client = open();
    this.#follow(this.#client);
  }

  /** To make one call with. Calls that are under way on an earlier one go on there. */
  get client(): Client {
    const { isOutdated, patienceMs = PATIENCE_MS } = this.options;
    const waits = this.#wantedSince !== undefined && performance.now() - this.#wantedSince > patienceMs;
    if (waits || isOutdated?.()) {
      void closeClient(this.#client);
      this.#wantedSince = undefined;
      this.#client = this.open();
      this.#follow(this.#client);
    }
    return this.#client;
  }

  close(): Promise<void> {
    return closeClient(this.#client);
  }

  #follow(client: Client): void {
    const channel = client.getChannel();
    const look = (): void => {
      const state = channel.getConnectivityState(false);
      if (client !== this.#client || state === connectivityState.SHUTDOWN) return;
      const settled = state === connectivityState.READY || state === connectivityState.IDLE;
      this.#wantedSince = settled ? undefined : (this.#wantedSince ?? performance.now());
      channel.watchConnectivityState(state, Infinity, look);
    };
    look();
  }
}

export const isReady = (client: Client): boolean =>
  client.getChannel().getConnectivityState(false) === connectivityState.READY;
