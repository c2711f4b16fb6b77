/**
 * The TLS side of a gRPC server: its certificate may change while it serves, and whoever does not prove who he is gets nothing of
 * our memory. Connections that have passed are handed to the gRPC server.
 */
import { X509Certificate, constants } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls';
import { ServerCredentials, type ConnectionInjector, type Server } from '@grpc/grpc-js';
import { certificatesOf, isIssuedBy, type Identity, type IdentitySource } from '../identity/identity.js';

export interface TlsListenerOptions {
  /** Only clients with a certificate of our authorities get through. Default true. */
  clientCertificates?: boolean;
  /** A client that has not shown its certificate by then is cut off. */
  handshakeMs?: number;
  /**
   * So many clients at most may be about to show theirs: one more and the one that has taken longest is cut off. A client of
   * ours needs some milliseconds, so it gets through however many others only hold a connection open.
   */
  maxHandshakes?: number;
}

const HANDSHAKE_MS = 10_000;
const MAX_HANDSHAKES = 128;

export class TlsListener {
  readonly #server: TlsServer;
  readonly #injector: ConnectionInjector;
  /** Connections by their address that have not passed yet, the oldest first. */
  readonly #waiting = new Map<string, Socket>();
  readonly #passed = new Set<TLSSocket>();
  readonly #stopFollowing: () => void;
  #believed: X509Certificate[] = [];
  #serves = false;

  constructor(
    server: Server,
    private readonly source: IdentitySource,
    {
      clientCertificates = true,
      handshakeMs = HANDSHAKE_MS,
      maxHandshakes = MAX_HANDSHAKES,
    }: TlsListenerOptions = {},
  ) {
    // TLS is done here; what the gRPC server gets is a stream that it need not secure.
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#server = createServer({
      ...common,
      requestCert: clientCertificates,
      rejectUnauthorized: clientCertificates,
      ALPNProtocols: ['h2'],
      handshakeTimeout: handshakeMs,
    });
    this.#server.on('connection', (socket: Socket) => this.#arrive(socket, maxHandshakes));
    this.#server.on('secureConnection', (socket) => this.#pass(socket));
    // Whoever was refused is gone already; the event keeps an error of his from ending the process.
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#stopFollowing = source.onChange(() => this.#follow());
    this.#follow();
  }

  /** Listens on "address:port" and answers the port. */
  listen(address: string): Promise<number> {
    const colon = address.lastIndexOf(':');
    const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(Number(address.slice(colon + 1)), host || undefined, () => {
        this.#server.off('error', reject);
        this.#server.on('error', () => {});
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Takes no more connections. Those that are there are the gRPC server's to end. */
  close(): void {
    this.#stopFollowing();
    this.#server.close();
    for (const socket of this.#waiting.values()) socket.destroy();
  }

  /** How many have connected and not shown who they are. */
  get handshakes(): number {
    return this.#waiting.size;
  }

  #arrive(socket: Socket, most: number): void {
    if (!this.#serves) {
      socket.destroy();
      return;
    }
    const key = addressOf(socket);
    this.#waiting.set(key, socket);
    socket.once('close', () => this.#waiting.delete(key));
    if (this.#waiting.size <= most) return;
    const [oldest] = this.#waiting.values();
    oldest?.destroy();
  }

  #pass(socket: TLSSocket): void {
    this.#waiting.delete(addressOf(socket));
    // Nothing else is spoken here.
    if (socket.alpnProtocol !== 'h2') {
      socket.destroy();
      return;
    }
    this.#passed.add(socket);
    socket.once('close', () => this.#passed.delete(socket));
    socket.on('error', () => {});
    this.#injector.injectConnection(socket);
  }

  #follow(): void {
    const identity = this.source.current;
    this.#serves = identity !== undefined;
    if (!identity) return;
    this.#server.setSecureContext({ ...common, ...contextOf(identity) });
    this.#believed = certificatesOf(identity.ca);
    // A connection outlives the certificate that opened it, but not the authority that it came from.
    for (const socket of this.#passed) {
      const { raw } = socket.getPeerCertificate();
      if (raw && !isIssuedBy(new X509Certificate(raw), this.#believed)) socket.destroy();
    }
  }
}

const common: TlsOptions = {
  minVersion: 'TLSv1.3',
  // A resumed session would skip looking at the certificate again.
  secureOptions: constants.SSL_OP_NO_TICKET,
};

const contextOf = ({ cert, key, ca }: Identity): TlsOptions => ({ cert, key, ca });

const addressOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}|${remotePort}`;
