/**
 * A small Kubernetes API server: in memory, over TLS, for kubectl and client libraries. It serves the local test cluster
 * and the tests; it is no way to run production. Scheduler and controllers are its clients (../controllers).
 *
 * Not imitated: RBAC (everybody who is known may do everything), admission webhooks and policies, quotas and limits,
 * volumes, conversion webhooks, aggregated API servers, protobuf answers.
 * Server-side apply knows owners only of what was applied (patch/server-side-apply.ts).
 */
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Api } from './api.js';
import { bootstrap } from './controllers/bootstrap.js';
import { serveCustomResources } from './controllers/custom-resources.js';
import { expireEvents } from './controllers/events.js';
import { handleRequest, handleUpgrade, type AuditEntry } from './http/handler.js';
import { TokenIssuer } from './http/tokens.js';
import { builtinResources } from './resources/builtin.js';
import { Registry } from './resources/registry.js';
import { readStateFile, writeStateFile } from './storage/state-file.js';
import { Store } from './storage/store.js';
import { KubeletClient } from './subresources/kubelet-client.js';

export interface ApiServerOptions {
  /**
   * Where to listen: TCP addresses and/or unix socket paths (both speak TLS). port 0 allowed. A socket that an earlier
   * server left behind is replaced.
   */
  listen: ({ host: string; port: number } | { path: string })[];
  /** PEM text; client certificates are verified against ca. */
  tls: { cert: string; key: string; ca: string };
  /**
   * Users by bearer token, next to client certificates (CN = user, O = groups) and ServiceAccount tokens. Anonymous
   * requests get 401, but for /healthz, /readyz, /livez and /version.
   */
  tokens?: Record<string, { username: string; groups: string[] }>;
  /** Told of every request whose sender is known, as an audit log would be. */
  audit?: (entry: AuditEntry) => void;
  /** What the server shows to kubelets, which it calls at the node's InternalIP and daemonEndpoints port. */
  kubeletClientTls?: { cert: string; key: string; ca: string };
  /** File in which the state is kept between restarts; in memory only without it. */
  stateFile?: string;
}

export interface ApiServer {
  readonly addresses: (AddressInfo | string)[];
  close(): Promise<void>;
  /** Direct access for tests. */
  readonly store: Store;
}

/** How long an idle connection is kept: longer than clients keep theirs, so that they never meet a closing one. */
const keepAliveMs = 120_000;

export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const state = options.stateFile === undefined ? undefined : readStateFile(options.stateFile);
  const api: Api = {
    store: new Store(),
    registry: new Registry(),
    tokens: new TokenIssuer(state?.tokenKey),
    caCert: options.tls.ca,
  };
  if (state) api.store.load(state.store);
  for (const resource of builtinResources()) api.registry.register(resource);
  const stop: (() => void)[] = [];
  stop.push(serveCustomResources(api), expireEvents(api));
  bootstrap(api);
  if (options.stateFile !== undefined) {
    stop.push(writeStateFile(options.stateFile, api.store, api.tokens.exportKey()));
  }
  const kubelet = new KubeletClient(api, options.kubeletClientTls);
  const services = {
    kubelet,
    tokenUsers: options.tokens ?? {},
    ...(options.audit ? { audit: options.audit } : {}),
  };

  const servers: Server[] = [];
  const addresses: (AddressInfo | string)[] = [];
  for (const place of options.listen) {
    const server = createServer({ ...options.tls, requestCert: true, rejectUnauthorized: false });
    server.keepAliveTimeout = keepAliveMs;
    server.on('secureConnection', (socket) => socket.setNoDelay(true));
    server.on('request', (request, response) => void handleRequest(api, services, request, response));
    server.on('upgrade', (request, socket, head) => void handleUpgrade(api, services, request, socket, head));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      if ('path' in place) rmSync(place.path, { force: true });
      server.listen(place, () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
    servers.push(server);
    addresses.push(server.address()!);
  }

  return {
    addresses,
    store: api.store,
    async close() {
      for (const end of stop.reverse()) end();
      kubelet.close();
      await Promise.all(
        servers.map((server) => {
          const closed = new Promise<void>((resolve) => server.close(() => resolve()));
          server.closeAllConnections();
          return closed;
        }),
      );
    },
  };
}
