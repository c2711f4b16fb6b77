/**
 * The transfer port: archives are read from here (export) and written to here (import) by whoever has the ticket that the
 * controller has opened a transfer for. It listens on the loopback address of the agent's pod only, so that the way to it is
 * the API server's port-forward, with the rights that this takes.
 *
 *   GET /transfers/<uid>/<container>            the archive, as it lies on disk
 *   GET /transfers/<uid>/<container>/about      its size and hash, and what it says of itself
 *   PUT /transfers/<uid>/<container>            an archive of the announced size and hash
 *
 * Each with `Authorization: Bearer <ticket>`. Answers that are no data are one sentence of plain text.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { LpmError, messageOf, type Reason } from '../../common/errors.js';
import type { Logger } from '../log.js';
import { isLabel, isUid } from '../names.js';
import { receive } from './receive.js';
import type { ArchiveStore } from './store.js';
import { opens, ticketIn } from './ticket.js';
import { occupied, type Part, type Transfer, type Transfers } from './transfers.js';

export interface TransferPortOptions {
  transfers: Transfers;
  store: ArchiveStore;
  log: Logger;
  /** Archives on their way at the same time; default 4. */
  most?: number;
  /** Milliseconds without a byte after which a connection is cut; default 60,000. */
  idleMs?: number;
}

const PATH = /^\/transfers\/([^/]+)\/([^/]+)(\/about)?$/;

const STATUS: Partial<Record<Reason, number>> = {
  CheckpointNotFound: 404,
  ArchiveNotFound: 404,
  InvalidArgument: 400,
  ArtifactInvalid: 422,
  NoSpace: 507,
  EncryptionNotSetUp: 422,
  RepositoryUnavailable: 503,
  NotSupportedYet: 501,
};

export function transferPort(options: TransferPortOptions): Server {
  const { most = 4, idleMs = 60_000 } = options;
  let busy = 0;
  const handle = (request: IncomingMessage, response: ServerResponse, begin: () => void): void => {
    const answer = async (): Promise<void> => {
      const { transfer, part, manifest } = admitted(options.transfers, request);
      if (busy >= most) throw new Refusal(503, 'Too many archives are on their way. Try again in a moment.');
      busy += 1;
      try {
        if (manifest) await sendManifest(options, part, response);
        else if (request.method === 'GET') await send(options, transfer, part, response);
        else await take(options, transfer, part, request, response, begin);
      } finally {
        busy -= 1;
      }
    };
    answer().catch((error: unknown) => refuse(options.log, request, response, error));
  };
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 10_000,
      // A large archive takes its time; what does not move is cut below.
      requestTimeout: 0,
      connectionsCheckingInterval: 2000,
      // One archive for one connection.
      keepAlive: false,
    },
    (request, response) => handle(request, response, () => {}),
  );
  // Whoever waits for a word before sending gigabytes is refused before sending them.
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
    handle(request, response, () => response.writeContinue()),
  );
  server.maxHeadersCount = 32;
  server.maxConnections = 8 * most;
  server.timeout = idleMs;
  server.keepAliveTimeout = 1;
  return server;
}

/** An answer that has nothing to do with archives. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** What the request is about, if it shows the ticket for it. Whatever is asked for, without a ticket the answer is the same. */
function admitted(
  transfers: Transfers,
  request: IncomingMessage,
): { transfer: Transfer; part: Part; manifest: boolean } {
  const [, uid = '', container = '', manifest] = PATH.exec(request.url ?? '') ?? [];
  const transfer = isUid(uid) && isLabel(container) ? transfers.find(uid) : undefined;
  const ticket = ticketIn(request.headers.authorization);
  if (!ticket || !opens(ticket, transfer?.ticketSha256) || !transfer) {
    throw new Refusal(401, 'There is no transfer for such a ticket here; it may have expired.');
  }
  const part = transfer.parts.get(container);
  if (!part) throw new Refusal(404, `This transfer has no container ${container}.`);
  if (
    request.method !== (transfer.direction === 'export' ? 'GET' : 'PUT') ||
    (manifest && request.method !== 'GET')
  ) {
    throw new Refusal(405, `This transfer is an ${transfer.direction}.`);
  }
  if (part.busy && !manifest)
    throw new Refusal(409, `The archive of container ${container} is on its way already.`);
  return { transfer, part, manifest: manifest !== undefined };
}

async function sendManifest(
  { store }: TransferPortOptions,
  part: Part,
  response: ServerResponse,
): Promise<void> {
  const text = await store.manifest(part.source);
  const sha256 = Buffer.from(part.source.sha256).toString('hex');
  response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
  response.end(`{"sha256":"${sha256}","bytes":${part.bytes},"manifest":${text ?? 'null'}}`);
}

async function send(
  { store, log }: TransferPortOptions,
  transfer: Transfer,
  part: Part,
  response: ServerResponse,
): Promise<void> {
  const { signal } = transfer.over;
  await occupied(transfer, part, async () => {
    const archive = await store.read(part.source, signal);
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': part.bytes,
      // RFC 9530: what the reader compares with.
      'repr-digest': `sha-256=:${Buffer.from(part.source.sha256).toString('base64')}:`,
      connection: 'close',
    });
    await pipeline(
      archive,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          part.done += chunk.length;
          yield chunk;
        }
      },
      response,
      { signal },
    );
  });
  log.info('an archive was exported', { transfer: transfer.uid, container: part.source.containerName });
}

async function take(
  { store, log }: TransferPortOptions,
  transfer: Transfer,
  part: Part,
  request: IncomingMessage,
  response: ServerResponse,
  begin: () => void,
): Promise<void> {
  if (!part.complete) {
    const length = request.headers['content-length'];
    if (length === undefined) throw new Refusal(411, 'The length of the archive must be said beforehand.');
    if (Number(length) !== part.bytes)
      throw new Refusal(413, `The archive was announced with ${part.bytes} bytes, not ${length}.`);
    await occupied(transfer, part, async () => {
      begin();
      // Reading what has come takes a while in which nothing moves on the connection.
      part.kept = await receive(store, transfer, part, request, () => request.socket.setTimeout(0));
      const parts = [...transfer.parts.values()];
      if (parts.every((each) => each.kept))
        store.finish(
          transfer,
          parts.map((each) => each.kept!),
        );
    });
    log.info('an archive was imported', { transfer: transfer.uid, container: part.source.containerName });
  }
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
  response.end('Kept.\n');
}

function refuse(log: Logger, request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const status =
    error instanceof Refusal ? error.status : error instanceof LpmError ? (STATUS[error.reason] ?? 500) : 500;
  // Neither path nor header: a wrong one may hold anything.
  log.info('a transfer was refused or cut', { method: request.method, status, error });
  if (response.headersSent || response.destroyed) {
    // Half an archive: the reader must see that it is one.
    response.destroy();
    return;
  }
  const text =
    error instanceof LpmError
      ? `${messageOf(error)} ${error.hint}`.trimEnd()
      : error instanceof Refusal
        ? messageOf(error)
        : 'The agent failed; its log says more.';
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
  response.end(`${text}\n`, () => {
    // What is still being sent is not read: the connection ends with the answer.
    if (!request.complete) request.destroy();
  });
}
