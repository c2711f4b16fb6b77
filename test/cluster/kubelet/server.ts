import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../../common/errors.js';
import type { Cri } from '../cri.js';
import type { KubeClient } from '../../../common/kube/client.js';
import { checkAccess } from './access.js';
import { checkpoint } from './checkpoint.js';
import { HttpError } from './http-error.js';
import { hasExited, isRunning, observePod, readySandbox, runsOf } from './observed.js';
import { readLog, type LogOptions } from './log-stream.js';
import { namespaceOf, specOf, uidOf, type Pod } from './pod.js';
import { detailsOf } from './node-context.js';

export interface ServerOptions {
  port: number;
  certFile: string;
  keyFile: string;
  /** Clients have a certificate of this authority, or a token. */
  clientCaFile: string;
  kube: KubeClient;
  nodeName: string;
  cri: Cri;
  findPod(namespace: string, name: string): Pod | undefined;
  pods(): Pod[];
  log: (message: string) => void;
}

/**
 * The kubelet's HTTPS server: what the API server passes on for `kubectl logs`, `exec`, `attach` and `port-forward`, and the
 * checkpoint API.
 * Streams are connected, byte for byte, to the runtime's own streaming server.
 */
export function startServer(options: ServerOptions): Promise<Server> {
  const server = createServer({
    cert: readFileSync(options.certFile),
    key: readFileSync(options.keyFile),
    ca: readFileSync(options.clientCaFile),
    requestCert: true,
    // Whoever shows none, or one of another authority, may still have a token.
    rejectUnauthorized: false,
    // Upgraded connections live as long as the session.
    requestTimeout: 0,
  });
  server.on('request', (request, response) => {
    handle(options, request, response).catch((error: unknown) => {
      if (response.headersSent) return response.destroy();
      const status = error instanceof HttpError ? error.status : 500;
      response.writeHead(status, { 'content-type': 'text/plain' }).end(`${detailsOf(error)}\n`);
    });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    upgrade(options, request, socket, head).catch((error: unknown) => {
      const status = error instanceof HttpError ? error.status : 500;
      refuse(socket, status, detailsOf(error));
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, () => resolve(server));
  });
}

const urlOf = (request: IncomingMessage): URL => new URL(request.url ?? '/', 'https://node');
const partsOf = (url: URL): string[] => url.pathname.split('/').filter(Boolean).map(decodeURIComponent);

async function handle(
  options: ServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = urlOf(request);
  const [area = '', ...rest] = partsOf(url);
  await checkAccess(options.kube, options.nodeName, request, area);
  switch (area) {
    case 'checkpoint':
      return checkpoint(options, rest, url.searchParams, request, response);
    case 'healthz':
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
      return;
    case 'pods':
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: options.pods() }));
      return;
    case 'containerLogs':
      return containerLogs(options, rest, url.searchParams, response);
    case 'exec':
    case 'attach':
    case 'portForward':
      throw new HttpError(400, 'unable to upgrade: missing upgrade headers in request');
    default:
      throw new HttpError(404, '404 page not found');
  }
}

function required(options: ServerOptions, namespace: string, name: string): Pod {
  const pod = options.findPod(namespace, name);
  if (!pod) throw new HttpError(404, `pod "${name}" not found in namespace "${namespace}"`);
  return pod;
}

async function containerLogs(
  options: ServerOptions,
  [namespace = '', name = '', container = '']: string[],
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const pod = required(options, namespace, name);
  const spec = specOf(pod);
  if (![...spec.containers, ...(spec.initContainers ?? [])].some((one) => one.name === container)) {
    throw new HttpError(404, `container "${container}" in pod "${name}" is not available`);
  }
  const runs = runsOf(await observePod(options.cri, uidOf(pod)), container);
  const begun = runs.filter((run) => isRunning(run) || hasExited(run));
  const previous = query.get('previous') === 'true';
  const last = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].find(
    (status) => status.name === container,
  );
  const lastId = last?.lastState?.terminated?.containerID?.split('//')[1];
  const run = previous ? runs.find(({ id }) => id === lastId) : begun[0];
  if (!run) {
    if (previous) {
      throw new HttpError(400, `previous terminated container "${container}" in pod "${name}" not found`);
    }
    const reason = last?.state?.waiting?.reason ?? 'ContainerCreating';
    throw new HttpError(400, `container "${container}" in pod "${name}" is waiting to start: ${reason}`);
  }
  const logOptions = parseLogOptions(query);
  const closed = new AbortController();
  response.on('close', () => closed.abort());
  const running = async (): Promise<boolean> => {
    try {
      const { status } = await options.cri.runtime.containerStatus({ containerId: run.id, verbose: false });
      return isRunning(status);
    } catch {
      return false;
    }
  };
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  for await (const text of readLog(run.logPath, logOptions, running, closed.signal)) {
    if (!response.write(text)) {
      await new Promise<void>((resolve) => {
        response.once('drain', resolve);
        response.once('close', resolve);
      });
    }
  }
  response.end();
}

function parseLogOptions(query: URLSearchParams): LogOptions {
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0)
      throw new HttpError(400, `${name} must be a number and not negative`);
    return value;
  };
  const tailLines = number('tailLines');
  const limitBytes = number('limitBytes');
  const sinceSeconds = number('sinceSeconds');
  const sinceTime = query.get('sinceTime');
  const sinceMs =
    sinceSeconds !== undefined
      ? Date.now() - sinceSeconds * 1000
      : sinceTime
        ? Date.parse(sinceTime)
        : undefined;
  const stream = query.get('stream')?.toLowerCase();
  return {
    follow: query.get('follow') === 'true',
    timestamps: query.get('timestamps') === 'true',
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(stream === 'stdout' || stream === 'stderr' ? { stream } : {}),
  };
}

/** Asks the runtime for a session, and connects the client's connection to it. */
async function upgrade(
  options: ServerOptions,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const url = urlOf(request);
  const [area = '', namespace = '', name = '', ...rest] = partsOf(url);
  await checkAccess(options.kube, options.nodeName, request, area);
  const query = url.searchParams;
  const pod = required(options, namespace, name);
  const observed = await observePod(options.cri, uidOf(pod));
  const flag = (flagName: string): boolean => ['1', 'true'].includes(query.get(flagName) ?? '');
  const runningContainer = (): string => {
    // The path may carry the pod's UID before the container's name.
    const container = rest[rest.length - 1] ?? '';
    const run = runsOf(observed, container).find(isRunning);
    if (!run)
      throw new HttpError(
        404,
        `container "${container}" of pod "${namespaceOf(pod)}/${name}" is not running`,
      );
    return run.id;
  };
  let target: string;
  switch (area) {
    case 'exec':
      ({ url: target } = await options.cri.runtime.exec({
        containerId: runningContainer(),
        cmd: query.getAll('command'),
        stdin: flag('input'),
        stdout: flag('output'),
        // With a terminal there is one stream for both.
        stderr: flag('error') && !flag('tty'),
        tty: flag('tty'),
      }));
      break;
    case 'attach':
      ({ url: target } = await options.cri.runtime.attach({
        containerId: runningContainer(),
        stdin: flag('input'),
        stdout: flag('output'),
        stderr: flag('error') && !flag('tty'),
        tty: flag('tty'),
      }));
      break;
    case 'portForward': {
      const sandbox = readySandbox(observed);
      if (!sandbox) throw new HttpError(404, `pod "${namespaceOf(pod)}/${name}" has no running sandbox`);
      const port = query.getAll('port').map(Number).filter(Number.isInteger);
      ({ url: target } = await options.cri.runtime.portForward({ podSandboxId: sandbox.id, port }));
      break;
    }
    default:
      throw new HttpError(404, '404 page not found');
  }
  tunnel(options, request, socket, head, new URL(target));
}

/** Repeats the request at the runtime's streaming server and joins the two connections. */
function tunnel(
  options: ServerOptions,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  target: URL,
): void {
  const upstream = connect(Number(target.port), target.hostname);
  upstream.setNoDelay(true);
  upstream.on('connect', () => {
    const headers: string[] = [];
    for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
      const header = request.rawHeaders[i] ?? '';
      if (!['host', 'authorization'].includes(header.toLowerCase())) {
        headers.push(`${header}: ${request.rawHeaders[i + 1] ?? ''}`);
      }
    }
    upstream.write(
      [
        `${request.method} ${target.pathname}${target.search} HTTP/1.1`,
        `Host: ${target.host}`,
        ...headers,
        '',
        '',
      ].join('\r\n'),
    );
    upstream.write(head);
    socket.pipe(upstream);
    upstream.pipe(socket);
  });
  upstream.on('error', (error) => {
    options.log(`streaming server: ${messageOf(error)}`);
    socket.destroy();
  });
  socket.on('error', () => upstream.destroy());
  socket.on('close', () => upstream.destroy());
  upstream.on('close', () => socket.destroy());
}

function refuse(socket: Duplex, status: number, message: string): void {
  const body = `${message}\n`;
  socket.end(
    `HTTP/1.1 ${status} Error\r\ncontent-type: text/plain\r\nconnection: close\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
