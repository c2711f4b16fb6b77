import { connectivityState, type Client } from '@grpc/grpc-js';

/** Milliseconds. */
const HANDSHAKE_PATIENCE_MS = 5_000;

/**
 * Closes a client, but not in the middle of its handshake: for that the handshake is waited for. grpc-js 1.14 forgets the
 * socket of a channel that is closed between TLS and HTTP/2 (createSession of a connector that is shut down rejects, and
 * nothing destroys the socket): it would stay open on both sides for as long as the processes live.
 */
export function closeClient(client: Client): Promise<void> {
  const channel = client.getChannel();
  return new Promise((resolve) => {
    const close = (): void => {
      client.close();
      resolve();
    };
    if (channel.getConnectivityState(false) !== connectivityState.CONNECTING) close();
    else
      channel.watchConnectivityState(
        connectivityState.CONNECTING,
        Date.now() + HANDSHAKE_PATIENCE_MS,
        // Not within the change of state: the subchannel says READY before it holds the transport that close() ends.
        () => setImmediate(close),
      );
  });
}
