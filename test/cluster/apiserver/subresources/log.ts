import { pipeline } from 'node:stream/promises';
import type { IncomingMessage } from 'node:http';
import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import type { Target } from '../http/resource-handler.js';
import type { Pod } from '../resources/pod-types.js';
import { badRequest, internalError, methodNotAllowed, StatusError } from '../status-error.js';
import { mustGet } from '../verbs/update.js';
import type { KubeletClient } from './kubelet-client.js';
import { containerOf } from './pod-container.js';

/** Passes a container's log on from its kubelet (`/containerLogs/NAMESPACE/POD/CONTAINER`). */
export async function podLog(
  api: Api,
  kubelet: KubeletClient,
  exchange: Exchange,
  target: Target,
  name: string,
): Promise<void> {
  if (exchange.method !== 'GET') throw methodNotAllowed();
  const pod = mustGet(api, target.resource, target.namespace, name) as Pod;
  const container = containerOf(pod, exchange.query.get('container'));
  checkOptions(exchange.query);
  if (!pod.spec.nodeName) {
    // Not assigned to a node yet: there is nothing to say, and that is no error.
    exchange.response.writeHead(204).end();
    return;
  }
  const query = new URLSearchParams(exchange.query);
  query.delete('container');
  const search = query.size > 0 ? `?${query}` : '';
  const path = `/containerLogs/${encodeURIComponent(target.namespace!)}/${encodeURIComponent(name)}/${encodeURIComponent(container)}${search}`;
  const answer = await kubelet.fetch(pod.spec.nodeName, { method: 'GET', path, headers: {} });
  if (answer.statusCode !== 200) throw await refused(answer, name);
  const { response } = exchange;
  response.writeHead(200, { 'Content-Type': answer.headers['content-type'] ?? 'text/plain' });
  response.flushHeaders();
  response.once('close', () => answer.destroy());
  await pipeline(answer, response).catch(() => response.destroy());
}

function checkOptions(query: URLSearchParams): void {
  for (const option of ['tailLines', 'limitBytes', 'sinceSeconds']) {
    const value = query.get(option);
    if (value !== null && !/^\d+$/.test(value)) {
      throw badRequest(
        `${option}: Invalid value: ${JSON.stringify(value)}: must be greater than or equal to 0`,
      );
    }
  }
}

async function refused(answer: IncomingMessage, pod: string): Promise<StatusError> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString().trim();
  const code = answer.statusCode ?? 500;
  switch (code) {
    case 500:
      return internalError(text);
    case 400:
      return badRequest(text);
    case 404:
      return new StatusError(
        404,
        'NotFound',
        `the server could not find the requested resource ( pods/log ${pod})`,
        {
          name: pod,
          kind: 'pods/log',
          causes: [{ reason: 'UnexpectedServerResponse', message: text }],
        },
      );
    default:
      return new StatusError(code, 'Unknown', text || `the kubelet answered with status code ${code}`);
  }
}
