/**
 * A small REST client for the Kubernetes API on top of client-node's KubeConfig (which does authentication: certificates,
 * tokens, exec plugins, proxies). The generated API classes of client-node are not used: they open a TLS connection for each
 * request, know no timeouts, turn times into Date objects and drop fields that they do not know.
 */
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { createSecureContext } from 'node:tls';
import type { KubeConfig } from '@kubernetes/client-node';
import { API_VERSION, GROUP, VERSION } from '../api/names.js';
import { KINDS } from '../api/kinds.js';
import {
  type ContainerCheckpoint,
  type ContainerCheckpointContent,
  type PodCheckpoint,
  type PodCheckpointContent,
  type PodMigration,
} from '../api/schema.js';
import { LpmError } from '../errors.js';
import type { Impersonating } from './config.js';
import { ApiError, ApiUnreachable, unlessNotFound, unreachable } from './api-error.js';
import type {
  ConfigMap,
  CoreEvent,
  KubeList,
  KubeObject,
  Lease,
  Namespace,
  Node,
  Pod,
  Secret,
  TokenReview,
  WatchEvent,
} from './types.js';

export interface KubeClientOptions {
  /** Sent as User-Agent. */
  userAgent: string;
  /** Milliseconds after which a request without an answer fails; default 30,000. Watches are not bound by it. */
  timeoutMs?: number;
  /** Impersonation (--as, --as-group). */
  impersonate?: { user?: string; groups?: string[] };
  /** Called right before a request that changes something is sent; what it throws is thrown instead of sending. */
  beforeWrite?: () => void;
}

export type Query = Record<string, string | number | boolean | undefined>;
export type PatchType = 'merge' | 'json' | 'strategic' | 'apply';

const PATCH_CONTENT_TYPE: Record<PatchType, string> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

interface CallOptions {
  query?: Query;
  body?: unknown;
  contentType?: string;
  /** Another representation than whole objects, e.g. their metadata alone. */
  accept?: string;
  timeoutMs?: number;
  signal?: AbortSignal;
  onHeaders?: (headers: IncomingHttpHeaders) => void;
}

export class KubeClient {
  readonly #agents = new Map<string, Agent>();
  #closed = false;

  constructor(
    readonly config: KubeConfig,
    readonly options: KubeClientOptions,
  ) {}

  /** URL of the API server, for messages. */
  get server(): string {
    return this.config.getCurrentCluster()?.server ?? '(no cluster)';
  }

  /** Headers that say for whom a request is made: what the kubeconfig says, and the flags (--as, --as-group) before it. */
  get impersonation(): Record<string, string | string[]> {
    const user: Impersonating | null = this.config.getCurrentUser();
    const { user: as, groups } = this.options.impersonate ?? {};
    return {
      ...user?.impersonateHeaders,
      ...(as ? { 'Impersonate-User': as } : {}),
      ...(groups?.length ? { 'Impersonate-Group': groups } : {}),
    };
  }

  /** One request with a JSON answer. Throws ApiError for an answer of 400 and above, ApiUnreachable without one. */
  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const text = await this.text(method, path, options);
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new ApiUnreachable(
        `${this.server} answered with something that is not JSON; is it a Kubernetes API server?`,
      );
    }
  }

  /** One request whose answer is read as text. */
  async text(method: string, path: string, options: CallOptions = {}): Promise<string> {
    const timeoutMs = options.timeoutMs ?? this.options.timeoutMs ?? 30_000;
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
    try {
      const response = await this.#send(method, path, { ...options, signal });
      options.onHeaders?.(response.headers);
      const text = await readAll(response);
      if ((response.statusCode ?? 500) >= 400) throw ApiError.fromResponse(response.statusCode ?? 500, text);
      return text;
    } catch (error) {
      if (error instanceof ApiError || error instanceof LpmError) throw error;
      if (options.signal?.aborted) throw options.signal.reason;
      if (timeout.aborted) {
        throw new ApiUnreachable(`${this.server} did not answer within ${timeoutMs / 1000} s.`, error);
      }
      throw unreachable(this.server, error);
    }
  }

  /** What is read together with the time of day that the server gives it, in milliseconds since 1970 and whole seconds. */
  async dated<T>(path: string): Promise<{ body: T; date?: number }> {
    let date: number | undefined;
    const body = await this.json<T>('GET', path, { onHeaders: (headers) => (date = timeOf(headers.date)) });
    return { body, ...(date === undefined ? {} : { date }) };
  }

  /**
   * One watch connection: yields events until the server ends it. The caller reconnects (common/kube/list-watch.ts).
   * A 410 comes as ApiError, be it the answer's status or an ERROR event.
   */
  async *watch<T extends KubeObject>(
    path: string,
    query: Query,
    signal: AbortSignal,
    accept?: string,
  ): AsyncGenerator<WatchEvent<T>> {
    let response: IncomingMessage;
    try {
      const options = { query: { ...query, watch: true }, signal, ...(accept ? { accept } : {}) };
      response = await this.#send('GET', path, options);
    } catch (error) {
      if (signal.aborted) return;
      throw unreachable(this.server, error);
    }
    if (response.statusCode !== 200) {
      throw ApiError.fromResponse(response.statusCode ?? 500, await readAll(response));
    }
    try {
      for await (const line of lines(response)) {
        const event = JSON.parse(line) as WatchEvent<T>;
        if (event.type === 'ERROR') throw ApiError.fromStatus(event.object);
        yield event;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) throw error;
      throw unreachable(this.server, error);
    } finally {
      response.destroy();
    }
  }

  /** The lines of an answer as they come: of a log. Ends with the answer, or when it is aborted. */
  async *readLines(path: string, query: Query, signal: AbortSignal): AsyncGenerator<string> {
    try {
      const response = await this.#send('GET', path, { query, signal });
      try {
        if (response.statusCode !== 200 && response.statusCode !== 204) {
          throw ApiError.fromResponse(response.statusCode ?? 500, await readAll(response));
        }
        yield* lines(response);
      } finally {
        response.destroy();
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) throw error;
      throw unreachable(this.server, error);
    }
  }

  /** Closes the connections. What is still asked afterwards (work that nobody waits for) leaves none open behind it. */
  close(): void {
    this.#closed = true;
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  readonly pods = new ResourceClient<Pod>(this, { group: '', version: 'v1', plural: 'pods', kind: 'Pod' });
  readonly nodes = new ResourceClient<Node>(this, {
    group: '',
    version: 'v1',
    plural: 'nodes',
    kind: 'Node',
  });
  readonly namespaces = new ResourceClient<Namespace>(this, {
    group: '',
    version: 'v1',
    plural: 'namespaces',
    kind: 'Namespace',
  });
  readonly events = new ResourceClient<CoreEvent>(this, {
    group: '',
    version: 'v1',
    plural: 'events',
    kind: 'Event',
  });
  readonly configMaps = new ResourceClient<ConfigMap>(this, {
    group: '',
    version: 'v1',
    plural: 'configmaps',
    kind: 'ConfigMap',
  });
  readonly secrets = new ResourceClient<Secret>(this, {
    group: '',
    version: 'v1',
    plural: 'secrets',
    kind: 'Secret',
  });
  readonly tokenReviews = new ResourceClient<TokenReview>(this, {
    group: 'authentication.k8s.io',
    version: 'v1',
    plural: 'tokenreviews',
    kind: 'TokenReview',
  });
  readonly leases = new ResourceClient<Lease>(this, {
    group: 'coordination.k8s.io',
    version: 'v1',
    plural: 'leases',
    kind: 'Lease',
  });
  readonly podMigrations = new ResourceClient<PodMigration>(this, ours('PodMigration'));
  readonly podCheckpoints = new ResourceClient<PodCheckpoint>(this, ours('PodCheckpoint'));
  readonly containerCheckpoints = new ResourceClient<ContainerCheckpoint>(this, ours('ContainerCheckpoint'));
  readonly podCheckpointContents = new ResourceClient<PodCheckpointContent>(
    this,
    ours('PodCheckpointContent'),
  );
  readonly containerCheckpointContents = new ResourceClient<ContainerCheckpointContent>(
    this,
    ours('ContainerCheckpointContent'),
  );

  async #send(method: string, path: string, options: CallOptions): Promise<IncomingMessage> {
    const url = new URL(this.server.replace(/\/$/, '') + path);
    for (const [key, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const http: RequestOptions = { method, headers: {} };
    await this.config.applyToHTTPSOptions(http);
    http.agent = this.#keepAlive(http);
    const auth = http.auth ? `Basic ${Buffer.from(http.auth).toString('base64')}` : undefined;
    delete http.auth;
    http.headers = {
      ...(http.headers as Record<string, string>),
      ...(auth ? { Authorization: auth } : {}),
      ...this.impersonation,
      Accept: options.accept ?? 'application/json',
      'User-Agent': this.options.userAgent,
      ...(body === undefined
        ? {}
        : {
            'Content-Type': options.contentType ?? 'application/json',
            'Content-Length': String(Buffer.byteLength(body)),
          }),
    };
    if (method !== 'GET') this.options.beforeWrite?.();
    const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
    return new Promise((resolve, reject) => {
      const ask = () => {
        let answered = false;
        const request = send(url, { ...http, signal: options.signal }, (response) => {
          answered = true;
          resolve(response);
        });
        // A half-open connection is noticed by the kernel's keep-alive probes, not only by our timeouts.
        request.on('socket', (socket) => socket.setKeepAlive(true, 15_000));
        request.on('error', (error: NodeJS.ErrnoException) => {
          // A server may close a connection that was kept at the very moment at which it is used again (nodejs.org/api/http.html,
          // request.reusedSocket). What only reads is asked again; each time takes one such connection away, so it ends.
          const isCut = error.code === 'ECONNRESET' || error.code === 'EPIPE';
          if (method === 'GET' && isCut && request.reusedSocket && !answered) ask();
          else reject(error);
        });
        request.end(body);
      };
      ask();
    });
  }

  /** One agent for each set of TLS parameters, instead of client-node's new one for each request. */
  #keepAlive(options: RequestOptions): RequestOptions['agent'] {
    const made = options.agent;
    // A proxy's agent is client-node's business: leave it.
    if (!(made instanceof Agent) || made.constructor !== Agent) return made;
    const tls = made.options;
    const key = JSON.stringify(
      [tls.ca, tls.cert, tls.key, tls.pfx, tls.servername, tls.rejectUnauthorized].map(String),
    );
    let agent = this.#agents.get(key);
    if (!agent) {
      // No limit of sockets: a watch keeps one for as long as it lasts, and what waits behind a limit waits silently.
      // Certificates are read once, not for each connection: a third of what a handshake costs.
      agent = new Agent({
        ...tls,
        secureContext: createSecureContext(tls),
        keepAlive: !this.#closed,
        scheduling: 'lifo',
      });
      // Rotated certificates make new agents; the old ones end when their connections are idle.
      this.#agents.set(key, agent);
    }
    return agent;
  }
}

export interface ResourceInfo {
  group: string;
  version: string;
  plural: string;
  kind: string;
}

export interface ListQuery {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
}

export interface DeleteQuery {
  /** The object is deleted only if it has this UID: a namesake made since stays. 409 otherwise. */
  uid?: string;
  resourceVersion?: string;
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
}

/** The verbs on one kind. Cluster-scoped kinds are called without a namespace. */
export class ResourceClient<T extends KubeObject> {
  constructor(
    private readonly client: KubeClient,
    readonly info: ResourceInfo,
  ) {}

  /** API path of the collection or of one object, with an optional subresource. */
  path(namespace?: string, name?: string, subresource?: string): string {
    const { group, version, plural } = this.info;
    const parts = [group ? `/apis/${group}/${version}` : `/api/${version}`];
    if (namespace) parts.push('namespaces', encodeURIComponent(namespace));
    parts.push(plural);
    if (name) parts.push(encodeURIComponent(name));
    if (subresource) parts.push(subresource);
    return parts.join('/');
  }

  get(name: string, namespace?: string): Promise<T> {
    return this.client.json('GET', this.path(namespace, name));
  }

  /** Like get, but undefined for an object that does not exist. */
  find(name: string, namespace?: string): Promise<T | undefined> {
    return unlessNotFound(this.get(name, namespace));
  }

  list({ namespace, ...query }: ListQuery = {}): Promise<KubeList<T>> {
    return this.client.json('GET', this.path(namespace), { query });
  }

  create(object: Partial<T>, namespace?: string, query: Query = {}): Promise<T> {
    return this.client.json('POST', this.path(namespace), { body: this.#typed(object), query });
  }

  /** Replaces the object; 409 when it changed since (metadata.resourceVersion). */
  replace(object: T): Promise<T> {
    const { namespace, name } = object.metadata;
    return this.client.json('PUT', this.path(namespace, name), { body: this.#typed(object) });
  }

  replaceStatus(object: T): Promise<T> {
    const { namespace, name } = object.metadata;
    return this.client.json('PUT', this.path(namespace, name, 'status'), { body: this.#typed(object) });
  }

  patch(
    name: string,
    namespace: string | undefined,
    patch: unknown,
    { type = 'merge', subresource, query }: { type?: PatchType; subresource?: string; query?: Query } = {},
  ): Promise<T> {
    return this.client.json('PATCH', this.path(namespace, name, subresource), {
      body: patch,
      contentType: PATCH_CONTENT_TYPE[type],
      ...(query ? { query } : {}),
    });
  }

  patchStatus(name: string, namespace: string | undefined, status: unknown): Promise<T> {
    return this.patch(name, namespace, { status }, { subresource: 'status' });
  }

  async delete(name: string, namespace?: string, options: DeleteQuery = {}): Promise<void> {
    const { uid, resourceVersion, ...rest } = options;
    await this.client.json('DELETE', this.path(namespace, name), {
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        ...rest,
        ...(uid || resourceVersion
          ? { preconditions: { ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) } }
          : {}),
      },
    });
  }

  /** One watch connection from a resource version on. */
  watch({ namespace, ...query }: ListQuery & Query, signal: AbortSignal): AsyncGenerator<WatchEvent<T>> {
    return this.client.watch<T>(this.path(namespace as string | undefined), query, signal);
  }

  #typed(object: Partial<T>): Partial<T> {
    const { group, version, kind } = this.info;
    return { ...object, apiVersion: group ? `${group}/${version}` : version, kind };
  }
}

function ours(kind: keyof typeof KINDS): ResourceInfo {
  return { group: GROUP, version: VERSION, plural: KINDS[kind].plural, kind };
}

/** True when the API server serves our group; false when the CRDs are not installed. */
export async function crdsInstalled(client: KubeClient): Promise<boolean> {
  try {
    const list = await client.json<{ resources: { name: string }[] }>('GET', `/apis/${API_VERSION}`);
    const served = new Set(list.resources.map((resource) => resource.name));
    return Object.values(KINDS).every((info) => served.has(info.plural));
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return false;
    throw error;
  }
}

function timeOf(date: string | undefined): number | undefined {
  const time = Date.parse(date ?? '');
  return Number.isNaN(time) ? undefined : time;
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function* lines(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    const parts = (rest + (chunk as string)).split('\n');
    rest = parts.pop() ?? '';
    yield* parts.filter((line) => line !== '');
  }
}
