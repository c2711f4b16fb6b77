/** Requests that are handed on to a kubelet: exec, attach and portforward of pods, and nodes/NAME/proxy. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import type { ResourcePath } from '../http/path.js';
import type { Target } from '../http/resource-handler.js';
import type { Pod } from '../resources/pod-types.js';
import { badRequest, noSuchPath } from '../status-error.js';
import { mustGet } from '../verbs/update.js';
import type { KubeletClient } from './kubelet-client.js';
import { containerOf } from './pod-container.js';
import { tunnel } from './tunnel.js';

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'authorization',
  'host',
]);

/** Without an upgrade there is no stream: the kubelet says so itself, in its own words. */
export async function proxyToPod(
  api: Api,
  kubelet: KubeletClient,
  exchange: Exchange,
  target: Target,
  name: string,
  subresource: string,
): Promise<void> {
  const { node, path } = podStreamPath(api, target, name, subresource, exchange.query);
  await forward(kubelet, exchange, node, path);
}

export async function proxyToNode(
  _api: Api,
  kubelet: KubeletClient,
  exchange: Exchange,
  target: Target,
  name: string,
): Promise<void> {
  await forward(kubelet, exchange, name, nodePath(target, exchange.url));
}

function nodePath(path: ResourcePath, url: URL): string {
  return `/${path.rest}${url.search}`;
}

async function forward(
  kubelet: KubeletClient,
  exchange: Exchange,
  node: string,
  path: string,
): Promise<void> {
  const headers = Object.fromEntries(
    Object.entries(exchange.request.headers).filter(([header]) => !hopByHop.has(header)),
  );
  const body = await exchange.readBody();
  const answer = await kubelet.fetch(node, { method: exchange.method, path, headers }, body);
  const { response } = exchange;
  response.writeHead(answer.statusCode ?? 502, endToEnd(answer));
  response.flushHeaders();
  response.once('close', () => answer.destroy());
  await pipeline(answer, response).catch(() => response.destroy());
}

function endToEnd(answer: IncomingMessage): Record<string, string | string[] | undefined> {
  return Object.fromEntries(Object.entries(answer.headers).filter(([header]) => !hopByHop.has(header)));
}

/** Hands an upgrade request on as raw bytes. Throws a StatusError before anything is written. */
export async function proxyUpgrade(
  api: Api,
  kubelet: KubeletClient,
  request: IncomingMessage,
  url: URL,
  path: ResourcePath,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const { node, path: kubeletPath } = streamTarget(api, path, url);
  await tunnel(kubelet, node, kubeletPath, request, socket, head);
}

function streamTarget(api: Api, path: ResourcePath, url: URL): { node: string; path: string } {
  const resource = api.registry.find(path.group, path.version, path.plural);
  if (!resource || path.name === undefined || path.subresource === undefined) throw noSuchPath();
  if (resource.storage === '/nodes' && path.subresource === 'proxy') {
    mustGet(api, resource, undefined, path.name);
    return { node: path.name, path: nodePath(path, url) };
  }
  const isStream = ['exec', 'attach', 'portforward'].includes(path.subresource);
  if (resource.storage !== '/pods' || !isStream) throw noSuchPath();
  return podStreamPath(api, { ...path, resource }, path.name, path.subresource, url.searchParams);
}

/** The kubelet's names of what the API calls stdin, stdout and stderr. */
const renamed: Record<string, string> = { stdin: 'input', stdout: 'output', stderr: 'error', tty: 'tty' };

function podStreamPath(
  api: Api,
  target: Target,
  name: string,
  subresource: string,
  query: URLSearchParams,
): { node: string; path: string } {
  const pod = mustGet(api, target.resource, target.namespace, name) as Pod;
  const place = `${encodeURIComponent(target.namespace!)}/${encodeURIComponent(name)}`;
  const wanted = new URLSearchParams();
  let path = `/${subresource === 'portforward' ? 'portForward' : subresource}/${place}`;
  if (subresource === 'portforward') {
    for (const port of query.getAll('ports')) wanted.append('port', port);
  } else {
    const container = containerOf(pod, query.get('container'));
    if (subresource === 'exec' && query.getAll('command').length === 0) {
      throw badRequest('you must specify at least one command for the container');
    }
    path += `/${encodeURIComponent(container)}`;
    for (const [option, kubeletOption] of Object.entries(renamed)) {
      const value = query.get(option);
      if (value === 'true' || value === '1' || value === '') wanted.set(kubeletOption, '1');
    }
    for (const part of query.getAll('command')) wanted.append('command', part);
  }
  if (!pod.spec.nodeName) throw badRequest(`pod ${name} does not have a host assigned`);
  return { node: pod.spec.nodeName, path: wanted.size > 0 ? `${path}?${wanted}` : path };
}
