/** Speaks to the kubelets of the nodes, for logs, exec and the like. */
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { Api } from '../api.js';
import { at, listOf, textOf } from '../kube-object.js';
import { internalError, notFound, StatusError } from '../status-error.js';

export interface KubeletTls {
  cert: string;
  key: string;
  ca: string;
}

const addressOrder = ['InternalIP', 'ExternalIP', 'Hostname'];
const defaultPort = 10250;
const connectTimeoutMs = 10_000;

export interface KubeletRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers: Record<string, string | string[] | undefined>;
}

export class KubeletClient {
  readonly #agent: Agent;

  constructor(
    readonly api: Api,
    tls: KubeletTls | undefined,
  ) {
    this.#agent = new Agent({
      ...tls,
      keepAlive: true,
      // Kubelets are called by address; their certificates are checked against the authority alone.
      checkServerIdentity: () => undefined,
      ...(tls ? {} : { rejectUnauthorized: false }),
    });
  }

  /** Where the kubelet of a node listens, `host:port` as in a URL. Throws when the node is unknown. */
  addressOf(nodeName: string): { host: string; port: number; url: string } {
    const node = this.api.store.get('/nodes', undefined, nodeName);
    if (!node) throw notFound({ group: '', plural: 'nodes', kind: 'Node' }, nodeName);
    const addresses = listOf(at(node.status, 'addresses'));
    const host = addressOrder
      .map((type) => addresses.find((address) => at(address, 'type') === type))
      .map((address) => textOf(at(address, 'address')))
      .find((address) => address !== '');
    if (host === undefined) {
      throw internalError(`no preferred addresses found; known addresses: [] (node ${nodeName})`);
    }
    const port = Number(at(node.status, 'daemonEndpoints', 'kubeletEndpoint', 'Port') ?? defaultPort);
    return { host, port, url: `https://${host.includes(':') ? `[${host}]` : host}:${port}` };
  }

  /** Sends a request and returns the answer's head; its body is still to be read. */
  fetch(nodeName: string, wanted: KubeletRequest, body?: Buffer): Promise<IncomingMessage> {
    const { host, port, url } = this.addressOf(nodeName);
    return new Promise((resolve, reject) => {
      const ask = () => {
        let answered = false;
        const request = httpsRequest({
          host,
          port,
          method: wanted.method,
          path: wanted.path,
          headers: definedOnly(wanted.headers),
          agent: this.#agent,
        });
        const timer = setTimeout(
          () => request.destroy(new Error(`dial tcp ${host}:${port}: i/o timeout`)),
          connectTimeoutMs,
        );
        request.once('response', (response) => {
          answered = true;
          clearTimeout(timer);
          resolve(response);
        });
        request.once('error', (error: NodeJS.ErrnoException) => {
          clearTimeout(timer);
          // The kubelet has closed a connection that was kept (it was restarted): Go's client asks again, too.
          const isStale = request.reusedSocket && error.code === 'ECONNRESET' && !answered;
          if (wanted.method === 'GET' && isStale) ask();
          else reject(unreachable(`Get "${url}${wanted.path}"`, error, host, port));
        });
        request.end(body);
      };
      ask();
    });
  }

  /** TLS options for a connection of its own, for upgraded streams. */
  get tlsOptions(): Agent['options'] {
    return this.#agent.options;
  }

  close(): void {
    this.#agent.destroy();
  }
}

export function definedOnly(
  headers: Record<string, string | string[] | undefined>,
): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string | string[]] => entry[1] !== undefined),
  );
}

/** An unreachable kubelet, in the words of Go's net package, as users know them from kubectl. */
export function unreachable(what: string, error: unknown, host: string, port: number): StatusError {
  return new StatusError(500, '', `${what}: ${dialError(error, host, port)}`);
}

export function dialError(error: unknown, host: string, port: number): string {
  const code = (error as { code?: string }).code;
  const words: Record<string, string> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
    ETIMEDOUT: 'i/o timeout',
    ENOTFOUND: 'lookup: no such host',
  };
  const known = code === undefined ? undefined : words[code];
  if (known) return `dial tcp ${host}:${port}: ${known}`;
  return error instanceof Error ? error.message : String(error);
}
