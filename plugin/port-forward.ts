/**
 * A connection to a port of a pod through the API server, over a WebSocket (v4.channel.k8s.io: channel 0 carries the bytes,
 * channel 1 what went wrong; both begin with the port). client-node has a PortForward, which takes whatever comes without
 * asking whether anybody keeps up with it: an archive of gigabytes would lie in memory.
 */
import type { IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';
import { Duplex } from 'node:stream';
import WebSocket, { createWebSocketStream } from 'ws';
import { ApiError, unreachable } from '../common/kube/api-error.js';
import type { KubeClient } from '../common/kube/client.js';

export interface Place {
  namespace: string;
  pod: string;
  port: number;
}

const PROTOCOL = 'v4.channel.k8s.io';
const OPEN_WITHIN_MS = 30_000;
/** Proxies on the way cut a connection on which nothing moves. */
const PING_MS = 20_000;

/** @throws ApiError, ApiUnreachable */
export async function portForward(client: KubeClient, place: Place, signal: AbortSignal): Promise<Duplex> {
  const channel = await open(client, place, signal);
  const cut = () => channel.destroy(new Error('The connection was given up.'));
  signal.addEventListener('abort', cut);
  channel.once('close', () => signal.removeEventListener('abort', cut));
  return channel;
}

async function open(
  client: KubeClient,
  { namespace, pod, port }: Place,
  signal: AbortSignal,
): Promise<Channel> {
  const { config, options, server } = client;
  const https: RequestOptions = { headers: {} };
  await config.applyToHTTPSOptions(https);
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/portforward?ports=${port}`;
  const auth = https.auth ? `Basic ${Buffer.from(https.auth).toString('base64')}` : undefined;
  delete https.auth;
  const socket = new WebSocket(server.replace(/\/$/, '').replace(/^http/, 'ws') + path, PROTOCOL, {
    ...(https as Record<string, unknown>),
    headers: {
      ...(https.headers as Record<string, string>),
      ...(auth ? { Authorization: auth } : {}),
      ...(client.impersonation as Record<string, string>),
      'User-Agent': options.userAgent,
    },
    perMessageDeflate: false,
    handshakeTimeout: OPEN_WITHIN_MS,
  });
  // Before it is open: the first messages may come with the answer, and nobody would be listening.
  const channel = new Channel(socket);
  channel.on('error', () => {});
  return new Promise((resolve, reject) => {
    const abort = () => socket.terminate();
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    socket.once('open', () => {
      signal.removeEventListener('abort', abort);
      resolve(channel);
    });
    socket.once('unexpected-response', (_, response: IncomingMessage) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.once('end', () => reject(ApiError.fromResponse(response.statusCode ?? 500, body)));
    });
    socket.on('error', (error) => reject(unreachable(server, error)));
  });
}

/** The bytes of channel 0, with the WebSocket's own back-pressure in both directions. */
class Channel extends Duplex {
  readonly #stream: Duplex;
  readonly #ping: NodeJS.Timeout;
  /** Bytes of the port number that are still to come, of each channel. */
  readonly #port = [2, 2];

  constructor(private readonly socket: WebSocket) {
    super();
    // Messages stay apart: the first byte of each is its channel.
    this.#stream = createWebSocketStream(socket, { readableObjectMode: true });
    this.#stream.on('data', (message: Buffer) => this.#take(message));
    this.#stream.once('end', () => this.push(null));
    this.#stream.once('error', (error) => this.destroy(error));
    this.#stream.once('close', () => this.push(null));
    this.#ping = setInterval(() => socket.readyState === WebSocket.OPEN && socket.ping(), PING_MS);
    this.#ping.unref();
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    const message = Buffer.allocUnsafe(chunk.length + 1);
    message[0] = 0;
    chunk.copy(message, 1);
    this.#stream.write(message, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#ping);
    this.#stream.destroy();
    this.socket.terminate();
    done(error);
  }

  #take(message: Buffer): void {
    const channel = message[0] === 1 ? 1 : 0;
    const skip = Math.min(this.#port[channel]!, message.length - 1);
    this.#port[channel]! -= skip;
    const data = message.subarray(1 + skip);
    if (data.length === 0) return;
    if (channel === 1) this.destroy(new Error(data.toString('utf8').trim()));
    else if (!this.push(data)) this.#stream.pause();
  }
}
