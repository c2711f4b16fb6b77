/**
 * An upgraded connection (SPDY or WebSocket) as a byte tunnel: the request goes to the kubelet with its own headers,
 * and from the kubelet's status line on everything is passed through, whether it upgrades or refuses.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { StatusError } from '../status-error.js';
import { dialError, type KubeletClient } from './kubelet-client.js';

const connectTimeoutMs = 10_000;

export async function tunnel(
  kubelet: KubeletClient,
  node: string,
  path: string,
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
): Promise<void> {
  const { host, port } = kubelet.addressOf(node);
  const upstream = await dial(kubelet, host, port);
  upstream.write(requestHead(request, path, `${host}:${port}`));
  if (head.length > 0) upstream.write(head);
  upstream.setNoDelay(true);
  client.pipe(upstream);
  upstream.once('data', (first: Buffer) => {
    if (first.subarray(0, 12).toString('latin1') !== 'HTTP/1.1 101') {
      // Refused. What the client sends from here on would be a request to the kubelet under our name.
      client.unpipe(upstream);
      client.once('data', () => client.destroy());
      client.resume();
    }
    client.write(first);
    upstream.pipe(client);
  });
  // Either end closing or failing ends the other: half a stream is of no use to anybody.
  const endBoth = () => {
    upstream.destroy();
    client.destroy();
  };
  upstream.once('error', endBoth).once('close', endBoth);
  client.once('error', endBoth).once('close', endBoth);
}

function dial(kubelet: KubeletClient, host: string, port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const { cert, key, ca, rejectUnauthorized } = kubelet.tlsOptions;
    const socket = connect({
      host,
      port,
      ...(cert ? { cert, key, ca } : {}),
      ...(rejectUnauthorized === false ? { rejectUnauthorized } : {}),
      checkServerIdentity: () => undefined,
      ALPNProtocols: ['http/1.1'],
    });
    const timer = setTimeout(
      () => socket.destroy(new Error(`dial tcp ${host}:${port}: i/o timeout`)),
      connectTimeoutMs,
    );
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(new StatusError(500, '', `error dialing backend: ${dialError(error, host, port)}`));
    });
  });
}

/** The client's head for the kubelet: another path and host, and without the client's own credentials. */
function requestHead(request: IncomingMessage, path: string, host: string): string {
  const lines = [`${request.method} ${path} HTTP/1.1`, `Host: ${host}`];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i]!;
    if (name.toLowerCase() === 'host' || name.toLowerCase() === 'authorization') continue;
    lines.push(`${name}: ${request.rawHeaders[i + 1]!}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
