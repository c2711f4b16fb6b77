/** Every request of the API: who asks, what for, and the answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Api } from '../api.js';
import { discover } from '../discovery/discovery.js';
import { serveOpenApi } from '../openapi/serve.js';
import type { User } from '../resources/resource.js';
import { forbidden, noSuchPath, StatusError, unauthorized } from '../status-error.js';
import { proxyUpgrade } from '../subresources/node-proxy.js';
import type { SubresourceServices } from '../subresources/handle.js';
import { handleReview, reviewResources } from '../subresources/reviews.js';
import { serverVersion } from '../version.js';
import { authenticate } from './authenticate.js';
import { Exchange } from './exchange.js';
import { meantUser } from './impersonate.js';
import { parseResourcePath } from './path.js';
import { handleResource } from './resource-handler.js';

/** A request whose sender is known. */
export interface AuditEntry {
  method: string;
  path: string;
  /** For whom it is made: whoever is impersonated, else whoever asks. */
  user: User;
}

type Services = SubresourceServices & { audit?: (entry: AuditEntry) => void };

const healthPaths = /^\/(healthz|readyz|livez)(\/|$)/;
const anonymous = { username: 'system:anonymous', groups: ['system:unauthenticated'] };

export async function handleRequest(
  api: Api,
  services: Services,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const asks = authenticate(api, services.tokenUsers, request);
  let exchange = new Exchange(request, response, asks ?? anonymous);
  try {
    if (asks) {
      const user = meantUser(asks, request);
      exchange = new Exchange(request, response, user);
      services.audit?.({ method: exchange.method, path: exchange.url.pathname, user });
    }
    await dispatch(api, services, exchange, asks !== undefined);
  } catch (error) {
    if (!(error instanceof StatusError)) reportBug(exchange, error);
    exchange.sendError(error);
  }
}

async function dispatch(api: Api, services: Services, exchange: Exchange, isKnown: boolean): Promise<void> {
  const { pathname } = exchange.url;
  if (healthPaths.test(pathname)) return exchange.sendText(200, 'ok');
  if (pathname === '/version') return exchange.sendJson(200, JSON.stringify(serverVersion));
  if (!isKnown) throw unauthorized();
  if (pathname.startsWith('/openapi/')) return serveOpenApi(api, exchange);
  const discovered = discover(api, pathname, exchange.accept);
  if (discovered) return exchange.sendJson(200, JSON.stringify(discovered.body), discovered.contentType);
  const path = parseResourcePath(pathname);
  if (!path) throw noSuchPath();
  const review = reviewResources.find(
    ({ group, plural }) => group === path.group && plural === path.plural && path.version === 'v1',
  );
  if (review) return handleReview(api, services.tokenUsers, exchange, review);
  return handleResource(api, services, exchange, path);
}

/** Requests to upgrade the connection: exec, attach, port-forward. */
export async function handleUpgrade(
  api: Api,
  services: Services,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  socket.on('error', () => socket.destroy());
  try {
    const asks = authenticate(api, services.tokenUsers, request);
    if (!asks) throw unauthorized();
    const url = new URL(request.url ?? '/', 'https://localhost');
    services.audit?.({ method: 'GET', path: url.pathname, user: meantUser(asks, request) });
    const path = parseResourcePath(url.pathname);
    if (!path) throw forbidden({ group: '', plural: 'pods', kind: 'Pod' }, '', 'this path takes no streams');
    await proxyUpgrade(api, services.kubelet, request, url, path, socket, head);
  } catch (error) {
    refuseUpgrade(socket, error);
  }
}

function refuseUpgrade(socket: Duplex, error: unknown): void {
  const status =
    error instanceof StatusError
      ? error
      : new StatusError(500, 'InternalError', error instanceof Error ? error.message : String(error));
  const body = JSON.stringify(status.toStatus());
  socket.end(
    `HTTP/1.1 ${status.code} ${status.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function reportBug(exchange: Exchange, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`apiserver: ${exchange.method} ${exchange.url.pathname}: ${text}\n`);
}
